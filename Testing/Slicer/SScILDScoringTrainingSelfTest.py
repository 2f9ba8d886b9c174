"""The training module's self-test under CTest, in the real application: the same steps that developer mode runs."""

from __future__ import annotations

import unittest

import slicer


class SScILDScoringTrainingSelfTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_aTrainingIsStartedSteeredAndFoundAgain(self):
        from SScILDScoringTrainingLib.panel.self_test import runSelfTest

        runSelfTest(print)
