"""Several processes that train together: the same training as one process with the same batch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from small_training import LOOP, PROGRAM, MeanOfImage, curve, environment, program
from SScILDScoringLib.errors import SettingsError
from SScILDScoringTrainingLib.checkpoints import load_checkpoint
from SScILDScoringTrainingLib.loop.team import Team
from SScILDScoringTrainingLib.run_status import read_status

TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2")
RELATIVE = 2e-5
"""What is left of float32's rounding after 30 steps: sums are added in another order."""


def assert_nearly_same_training(one, other) -> None:
    """Curves, weights, running statistics and averaged weights agree up to rounding."""
    rows, others = curve(one), curve(other)
    assert [r["step"] for r in rows] == [r["step"] for r in others]
    for row, same in zip(rows, others, strict=True):
        for name, value in row.items():
            assert (value == "") == (same[name] == "")
            if value:
                assert float(value) == pytest.approx(float(same[name]), rel=5 * RELATIVE), name
    a, b = (load_checkpoint(run / "checkpoints" / "last.pt") for run in (one, other))
    assert a["step"] == b["step"]
    for weights, others in ((a["network"], b["network"]), (a["average"]["state"], b["average"]["state"])):
        for name, value in weights.items():
            assert torch.allclose(value, others[name], rtol=RELATIVE, atol=RELATIVE), name


def test_two_processes_of_torchrun_train_as_one_does_batch_norm_included(tmp_path):
    program(tmp_path / "one")
    program(tmp_path / "two", launcher=TORCHRUN)
    facts = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert facts["sessions"][0]["processes"] == 2
    assert_nearly_same_training(tmp_path / "one", tmp_path / "two")
    assert read_status(tmp_path / "two").state == "finished"


def test_a_team_goes_on_after_kill_9(tmp_path):
    program(tmp_path / "whole", "--set", "validate_every=5")
    run = tmp_path / "run"
    command = [sys.executable, str(PROGRAM), str(run), "--team", "2", "--set", "validate_every=5", "--pause", "0.02"]
    team = subprocess.Popen(command, env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not (run / "checkpoints" / "last.pt").exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.killpg(team.pid, signal.SIGKILL)
    team.wait()
    killed_at = load_checkpoint(run / "checkpoints" / "last.pt")["step"]
    assert 0 < killed_at < 30
    program(run, "--team", "2", "--resume", "--set", "validate_every=5", "--set", "steps=30")
    assert_nearly_same_training(tmp_path / "whole", run)
    assert len(json.loads((run / "environment.json").read_text())["sessions"]) == 2


def test_every_process_gets_its_own_part_of_every_batch():
    recipe = MeanOfImage()
    whole = list(recipe.batches(2, 3))
    parts = [list(recipe.batches(2, 3, (n, 4))) for n in range(4)]
    for b, batch in enumerate(whole):
        joined = torch.cat([part[b]["image"] for part in parts])
        assert torch.equal(joined, batch["image"])


def test_a_batch_that_cannot_be_shared_equally_is_refused():
    Team(0, 4).check(LOOP.batch_size, 2)
    with pytest.raises(SettingsError, match="multiple of processes"):
        Team(0, 3).check(LOOP.batch_size, 1)


def test_joint_statistics_of_one_process_are_those_of_batch_norm():
    from torch import distributed

    from SScILDScoringTrainingLib.loop.batch_norm import with_joint_statistics

    torch.manual_seed(0)
    x = (torch.randn(6, 4, 5, 7) * 3 + 100).requires_grad_()  # a mean far from zero, as HU have
    target = torch.randn(6, 4, 5, 7)
    plain = torch.nn.Sequential(torch.nn.BatchNorm2d(4))
    with torch.no_grad():
        plain[0].weight.uniform_(0.5, 2)
        plain[0].bias.normal_()
    joint = torch.nn.Sequential(torch.nn.BatchNorm2d(4))
    joint.load_state_dict(plain.state_dict())
    distributed.init_process_group("gloo", rank=0, world_size=1, store=distributed.HashStore())
    try:
        joint = with_joint_statistics(joint, torch.device("cpu"))
        answers = []
        for network in (plain, joint):
            x.grad = None
            y = network.train()(x)
            ((y - target) ** 2).mean().backward()
            answers.append((y.detach(), x.grad.clone(), network[0].weight.grad, network[0].bias.grad))
        for a, b in zip(*answers, strict=True):
            assert np.allclose(a, b, rtol=1e-3, atol=2e-5)
        assert list(plain.state_dict()) == list(joint.state_dict())
        for name, value in plain.state_dict().items():
            assert torch.allclose(value.float(), joint.state_dict()[name].float(), rtol=1e-4), name
        assert torch.allclose(plain.eval()(x), joint.eval()(x), atol=1e-5)
    finally:
        distributed.destroy_process_group()
