"""The module's self-test under CTest, in the real application: the same steps that developer mode runs."""

from __future__ import annotations

import unittest

import slicer


class SScILDScoringSelfTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_aPhantomIsScoredFromCTToHeatMaps(self):
        from SScILDScoringLib.panel.self_test import runSelfTest

        runSelfTest(print)
