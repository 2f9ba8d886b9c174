"""L-Net: five slice numbers from a patch of a resized CT (method.md section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.preprocessing import VolumeInput, normalized_patch
from SScILDScoringLib.progress import Progress

from ..cache import ArrayCache
from ..cohort import read_cohort
from ..config import BundleConfig, LoopConfig, NetworkConfig, PhantomData, one_of, to_plain
from ..datasets import BatchStream, generator, loader
from ..loop.recipe import regression_loss
from ..loop.starting_weights import resolved, starting_network
from ..phantoms import VALIDATION_OFFSET
from ..volume_data import LevelCase, phantom_cases, scan_cases
from ..volume_transforms import VolumeAugmentation, augmented_volume

PICTURE_HEIGHT = 360
"""Pixels that the views of :meth:`LevelsRecipe.picture` are about high."""


@dataclass(frozen=True)
class LevelData:
    """Where L-Net's volumes come from.

    Args:
        cohort: table with level positions (:mod:`..cohort`), or None.
        fold: of the table: its cases validate, those of the other folds are trained on; None: as the table's column
            ``split`` says.
        cohort_share: share of the training samples that come from the cohort when there are phantoms as well.
        phantoms: generated phantoms, or None.
        cache: folder for resized volumes.
    """

    cohort: str | None = None
    fold: int | None = None
    cohort_share: float = 0.5
    phantoms: PhantomData | None = None
    cache: str = "runs/cache"


@dataclass(frozen=True)
class ProfileLoss:
    """Additional loss for networks that give a distribution over slices (``compact_3d``).

    Args:
        sigma: standard deviation in slices of the Gaussian that the distribution should look like.
        weight: of the cross-entropy, beside the loss of the slice numbers, which is then divided by ``depth / 100``.
    """

    sigma: float = 1.5
    weight: float = 1.0


@dataclass(frozen=True)
class LevelsConfig:
    """A complete configuration of this recipe; see the presets for examples."""

    network: NetworkConfig
    training: LoopConfig
    data: LevelData
    bundle: BundleConfig
    recipe: str = "levels"
    seed: int = 1
    input: VolumeInput = field(default_factory=VolumeInput)
    augmentation: VolumeAugmentation = field(default_factory=VolumeAugmentation)
    profile: ProfileLoss | None = None

    def __post_init__(self) -> None:
        one_of("recipe", self.recipe, ("levels",))


def patch_start(levels: np.ndarray, height: int, depth: int, rng: np.random.Generator) -> int:
    """First slice of a random patch of ``depth`` slices that covers all five levels.

    Levels that span more than a patch are covered as well as possible: the patch is centred on them.
    """
    first = max(0, int(np.ceil(levels.max())) - depth + 1)
    last = min(height - depth, int(np.floor(levels.min())))
    if first > last:
        return int(np.clip(round((levels.max() + levels.min() - depth + 1) / 2), 0, height - depth))
    return int(rng.integers(first, last + 1))


def predicted_levels(
    network: torch.nn.Module, volume: np.ndarray, volume_input: VolumeInput, device: torch.device, stride: int = 0
) -> np.ndarray:
    """Slice numbers ``(windows, 5)`` in the resized volume, one row per window along z; see ``patch_starts``.

    ``stride`` other than the input's own (larger while training, where it is only a check).
    """
    last = volume_input.size[0] - volume_input.depth
    starts = volume_input.patch_starts() if not stride else tuple(sorted({*range(0, last + 1, stride), last}))
    answers = []
    for start in starts:
        patch = normalized_patch(volume[start : start + volume_input.depth])
        answer = network(torch.from_numpy(patch)[None, None].to(device))
        answers.append(answer[0].float().cpu().numpy() + start)
    return np.array(answers)


class LevelsRecipe:
    """Training of an L-Net. See :class:`..training.Recipe`."""

    def __init__(self, config: LevelsConfig) -> None:
        if config.network.weights:
            raise SettingsError("L-Net starts from random weights (method.md section 2): remove network.weights.")
        config = replace(config, network=resolved(config.network, "l_net"))
        self.config = config
        self.loop = config.training
        self.seed = config.seed
        self.cohort: list[LevelCase] = []
        self.phantoms: list[LevelCase] = []
        self.validation: list[LevelCase] = []
        self._loss = regression_loss(self.loop.loss)

    @property
    def samples_per_epoch(self) -> int:
        """One of every training volume."""
        return len(self.cohort) + len(self.phantoms)

    def plain_config(self) -> dict:
        """The configuration as plain values."""
        return to_plain(self.config)

    def prepare(self, progress: Progress) -> None:
        """Reads the cohort and makes the phantoms. Raises SettingsError when there is nothing to train on."""
        data, volume_input = self.config.data, self.config.input
        cache = ArrayCache(Path(data.cache) / "levels")
        if data.cohort:
            rows = read_cohort(data.cohort, split_seed=self.seed, fold=data.fold)
            self.cohort = scan_cases(cache, rows.of_split("train"), volume_input, progress)
            self.validation += scan_cases(cache, rows.of_split("validation"), volume_input, progress)
        if data.phantoms:
            seeds = list(range(data.phantoms.seed, data.phantoms.seed + data.phantoms.train))
            first = data.phantoms.seed + VALIDATION_OFFSET
            check = list(range(first, first + data.phantoms.validation))
            fixed = data.phantoms.fixed
            self.phantoms = phantom_cases(cache, seeds, fixed, volume_input, progress)
            self.validation += phantom_cases(cache, check, fixed, volume_input, progress)
        if not self.samples_per_epoch or not self.validation:
            raise SettingsError("Training needs training and validation cases: give data.cohort or data.phantoms.")

    def network(self, start: bool = True) -> torch.nn.Module:
        """The L-Net of the configuration, with random weights or those of ``network.bundle``."""
        return starting_network("l_net", self.config.network, self.config.input, start)

    def sample(self, number: int) -> dict[str, np.ndarray]:
        """Training sample ``number``: ``image (1, depth, y, x)`` z-scored and ``target (5,)`` slice numbers."""
        rng = generator(self.seed, 1, number)
        from_cohort = bool(self.cohort) and (not self.phantoms or rng.random() < self.config.data.cohort_share)
        cases = self.cohort if from_cohort else self.phantoms
        case = cases[int(rng.integers(len(cases)))]
        volume_input = self.config.input
        depth, height = volume_input.depth, len(case.volume)
        patch, levels = augmented_volume(
            case.volume,
            case.levels,
            self.config.augmentation,
            rng,
            depth,
            lambda levels: patch_start(levels, height, depth, rng),
        )
        np.clip(patch, *volume_input.hu_window, out=patch)
        return {"image": normalized_patch(patch)[None], "target": levels.astype(np.float32)}

    def example(self, count: int) -> dict[str, torch.Tensor]:
        """``count`` samples of noise in the shapes of real ones; see :class:`..training.Recipe`."""
        depth, (_, height, width) = self.config.input.depth, self.config.input.size
        target = torch.linspace(0.9, 0.1, 5).repeat(count, 1) * depth
        return {"image": torch.randn(count, 1, depth, height, width), "target": target}

    def batches(self, first: int, count: int, share: tuple[int, int] = (0, 1)) -> Iterable[Mapping[str, torch.Tensor]]:
        """See :class:`..training.Recipe`."""
        return loader(BatchStream(self.sample, self.loop.batch_size, first, count, share), self.loop.workers)

    def loss(self, network: torch.nn.Module, batch: Mapping[str, torch.Tensor]):
        """Loss of the slice numbers, with the profile's cross-entropy where configured."""
        target = batch["target"]
        settings = self.config.profile
        if settings is None:
            answer = network(batch["image"]).float()
            loss = self._loss(answer, target)
            return loss, {"mae_slices": float((answer - target).abs().mean().detach())}
        logits = network.profile(batch["image"]).float()
        numbers = torch.arange(logits.shape[-1], device=logits.device, dtype=torch.float32)
        wanted = torch.exp(-0.5 * ((numbers - target[..., None]) / settings.sigma) ** 2)
        wanted = wanted / wanted.sum(-1, keepdim=True).clamp_min(1e-6)
        shape = functional.kl_div(logits.log_softmax(-1), wanted, reduction="none").sum(-1).mean()
        answer = logits.softmax(-1) @ numbers
        place = self._loss(answer, target) / (self.config.input.depth / 100)
        parts = {"mae_slices": float((answer - target).abs().mean().detach()), "profile_loss": float(shape.detach())}
        return settings.weight * shape + place, parts

    def validate(self, network: torch.nn.Module, device: torch.device) -> tuple[dict[str, float], list[dict]]:
        """Mean absolute error in millimetres over all levels and cases (sliding windows, averaged)."""
        rows = []
        stride = max(self.config.input.stride, (self.config.input.size[0] - self.config.input.depth) // 2)
        for case in self.validation:
            answer = predicted_levels(network, case.volume, self.config.input, device, stride).mean(axis=0)
            errors = (answer - case.levels) * case.mm_per_slice
            rows.append({"case": case.name, **{f"error_{n + 1}_mm": round(float(e), 2) for n, e in enumerate(errors)}})
        errors = np.array([[row[f"error_{n}_mm"] for n in range(1, 6)] for row in rows])
        per_level = {f"mae_{n + 1}": float(v) for n, v in enumerate(np.abs(errors).mean(axis=0))}
        return {"mae": float(np.abs(errors).mean()), **per_level}, rows

    def picture(self, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Coronal views of a batch with the five levels as lines."""
        views = []
        for image, target in zip(batch["image"][:4], batch["target"][:4], strict=True):
            middle = image[0, :, image.shape[2] // 2].cpu().numpy()
            grey = np.clip((middle + 2.0) * 64, 0, 255).astype(np.uint8)
            for z in target.cpu().numpy():
                k = int(np.clip(round(float(z)), 0, len(grey) - 1))
                grey[k, ::2] = 255
            times = max(2, round(PICTURE_HEIGHT / len(grey)))
            views.append(np.pad(np.repeat(np.repeat(grey[::-1], times, 0), times, 1), ((0, 0), (0, 4))))
        return np.concatenate(views, axis=1)


def levels_recipe(values: Mapping) -> LevelsRecipe:
    """The recipe of a configuration's plain values."""
    from ..config import build

    return LevelsRecipe(build(LevelsConfig, values))
