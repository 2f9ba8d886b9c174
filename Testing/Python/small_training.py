"""A small but real recipe, and this file as a program that trains it in a process of its own.

    python small_training.py RUN [--resume] [--kills SEED] [--team N] [--set key=value ...]

``--team``: as many processes train together, with the environment that torchrun gives them. ``--kills``: the program
forks the training and kills it with SIGKILL again and again - at moments drawn at random and in the middle of writing
a checkpoint - and resumes it until it is through.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from SScILDScoringTrainingLib.config import LoopConfig, build, to_plain
from SScILDScoringTrainingLib.datasets import BatchStream, generator, loader
from SScILDScoringTrainingLib.training import Trainer

PROGRAM = Path(__file__)
LOOP = LoopConfig(
    batch_size=8, steps=30, learning_rate=3e-3, optimizer="adamw", schedule="cosine", ema=0.9, validate_every=10,
    clip_norm=1.0, precision="fp32", device="cpu", tensorboard=False,
)  # fmt: skip


class MeanOfImage:
    """A network learns three sums over a noisy picture.

    Args:
        loop: how. width: of the hidden layer; many make checkpoints large. dropout: its rate.
    """

    def __init__(self, loop: LoopConfig = LOOP, width: int = 8, dropout: float = 0.0) -> None:
        self.loop, self.seed, self.samples_per_epoch = loop, 3, 80
        self.width, self.dropout = width, dropout

    def plain_config(self) -> dict:
        return {"recipe": "mean", "seed": self.seed, "training": {"steps": self.loop.steps}}

    def prepare(self, progress) -> None:
        self.checks = [self.sample(10_000 + n) for n in range(16)]

    def network(self, start: bool = True) -> nn.Module:
        # No bias in front of BatchNorm: its gradient is zero, of which Adam makes steps in the direction of rounding.
        features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        hidden = nn.Linear(256, self.width, bias=False), nn.BatchNorm1d(self.width), nn.ReLU(), nn.Dropout(self.dropout)
        return nn.Sequential(OrderedDict(features=features, head=nn.Sequential(*hidden, nn.Linear(self.width, 3))))

    def sample(self, number: int) -> dict[str, np.ndarray]:
        rng = generator(self.seed, number)
        target = rng.uniform(0, 1, 3).astype(np.float32)
        image = np.repeat(target, 22)[:64].reshape(1, 8, 8) + rng.normal(0, 0.1, (1, 8, 8))
        return {"image": image.astype(np.float32), "target": target}

    def batches(self, first: int, count: int, share=(0, 1)):
        return loader(BatchStream(self.sample, self.loop.batch_size, first, count, share), self.loop.workers)

    def loss(self, network, batch):
        loss = nn.functional.mse_loss(network(batch["image"]), batch["target"])
        return loss, {"mse": float(loss.detach())}

    def validate(self, network, device):
        images = torch.from_numpy(np.stack([c["image"] for c in self.checks])).to(device)
        errors = np.abs(network(images).float().cpu().numpy() - np.stack([c["target"] for c in self.checks]))
        return {"mae": float(errors.mean())}, [{"case": n, "error": float(e)} for n, e in enumerate(errors.mean(1))]

    def picture(self, batch):
        return (np.clip(batch["image"][0, 0].numpy(), 0, 1) * 255).astype(np.uint8)


def environment() -> dict[str, str]:
    """The environment for a process of this file: both libraries can be imported, one thread."""
    root = Path(__file__).resolve().parents[2]
    paths = [str(root / "SScILDScoring"), str(root / "SScILDScoringTraining"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}


def program(*arguments: object, launcher: Sequence[str] = ()) -> str:
    """Runs this file in a process of its own to its end; what it printed. ``launcher``: arguments for Python before."""
    command = [sys.executable, *launcher, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def curve(run: Path) -> list[dict]:
    """The rows of a run's curves without the seconds, which differ from time to time."""
    with (run / "curves.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def killed_again_and_again(recipe: MeanOfImage, run: Path, seed: int) -> dict[str, int]:
    """Trains ``recipe``, the training being killed six times on its way; how often at which kind of moment.

    Every life of the training reaches one to three new checkpoints. Then it is killed: after a random time, or while
    the next checkpoint is being written.
    """
    rng = random.Random(seed)
    last = run / "checkpoints" / "last.pt"
    part = last.with_name("last.pt.part")
    kills = {"at random": 0, "while writing": 0}
    plan = ["while writing", "at random", "while writing", "at random", "at random", "while writing"]

    def changed() -> int:
        return last.stat().st_mtime_ns if last.exists() else 0

    import torch._dynamo  # noqa: F401 - both imported by every training: once here, before the forks

    for how in [*plan, "not at all"]:
        child = os.fork()
        if child == 0:
            try:
                Trainer(recipe, run, resume=last.exists()).run()
                os._exit(0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        if how != "not at all":
            ended = (0, 0)
            for _ in range(rng.randint(1, 3)):
                before = changed()
                while changed() == before and ended == (0, 0):
                    ended = os.waitpid(child, os.WNOHANG)
                    time.sleep(0.001)
            if how == "at random":
                time.sleep(rng.uniform(0.0, 0.3))
            while how == "while writing" and not part.exists() and ended == (0, 0):
                ended = os.waitpid(child, os.WNOHANG)
            if ended != (0, 0):
                raise SystemExit("the training ended before it was killed")
            os.kill(child, signal.SIGKILL)
        _, ended = os.waitpid(child, 0)
        if os.WIFSIGNALED(ended):
            kills[how] += how == "at random" or part.exists()
        elif os.WEXITSTATUS(ended):
            raise SystemExit("the training failed")
    return kills


def train_together(recipe: MeanOfImage, run: Path, resume: bool, size: int) -> None:
    """Trains ``recipe`` in ``size`` forked processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
            try:
                Trainer(recipe, run, resume).run()
                os._exit(0)
            except BaseException as error:
                print(f"process {rank}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("the training failed")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--team", type=int)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that every sample takes longer")
    parser.add_argument("--set", action="append", default=[])
    given = parser.parse_args()
    torch.set_num_threads(1)
    changes = {k: yaml.safe_load(v) for k, v in (text.split("=", 1) for text in given.set)}
    loop = build(LoopConfig, {**to_plain(LOOP), **changes})
    recipe = MeanOfImage(loop, given.width)
    if given.pause:
        quick = recipe.sample
        recipe.sample = lambda number: (time.sleep(given.pause), quick(number))[1]
    if given.team:
        train_together(recipe, given.run, given.resume, given.team)
    elif given.kills is not None:
        print(json.dumps(killed_again_and_again(recipe, given.run, given.kills)))
    else:
        Trainer(recipe, given.run, given.resume).run()


if __name__ == "__main__":
    main()
