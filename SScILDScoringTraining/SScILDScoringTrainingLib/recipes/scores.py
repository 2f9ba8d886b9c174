"""S-Net: TOT, GG and RET of an axial slice (method.md sections 3 and 4, starter.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional

from SScILDScoringLib.errors import SettingsError
from SScILDScoringLib.networks import build_s_net
from SScILDScoringLib.pipeline import SMALL_LUNG_MM2
from SScILDScoringLib.preprocessing import AIR_HU, SliceInput
from SScILDScoringLib.progress import Progress

from ..balance import balanced_probabilities
from ..cache import ArrayCache
from ..cohort import read_cohort
from ..config import BundleConfig, LoopConfig, NetworkConfig, PhantomData, build, one_of, to_plain
from ..datasets import BatchStream, RecentlyMade, generator, loader
from ..loop.recipe import regression_loss
from ..loop.starting_weights import resolved, starting_network
from ..phantoms import VALIDATION_OFFSET
from ..slice_anatomy import anatomies
from ..slice_data import (
    BODY,
    LUNG,
    Backgrounds,
    LabelledSlice,
    SliceSource,
    cohort_slices,
    healthy_slices,
    packed,
    phantom_slices,
)
from ..synthesis import Background, SynthesisSettings, synthesize
from ..synthesis.contact_sheet import example_sheet
from ..transforms import SliceAugmentation, intensity_augmented, slice_matrix, warp_slice
from .score_targets import warped_areas

KINDS = ("cohort", "synthetic", "phantom")
LEAST_LUNG_CELLS = 0.02
"""Cells of lung per sample below which a batch without lungs would make the patterns' loss explode."""


@dataclass(frozen=True)
class ScoreData:
    """Where S-Net's slices come from.

    Args:
        cohort: table with levels and scores (:mod:`..cohort`), or None.
        fold: of the table: its cases validate, those of the other folds are trained on; None: as the table's column
            ``split`` says.
        neighbours: slices above and below each scored one that are used with its score (1 as published).
        balanced: draw cohort slices with probability inversely proportional to the frequency of their TOT.
        healthy: healthy slices of scans for synthesis, beside the cohort's own slices of TOT 0.
        phantoms: phantom slices, used with their own disease and, where healthy, for synthesis; or None.
        phantom_backgrounds: share of synthetic slices whose background is a phantom's, where there are others too.
        mix: shares of the kinds of training samples: ``cohort``, ``synthetic``, ``phantom``.
        synthesis: settings of :class:`..synthesis.SynthesisSettings`; ``patch_folder`` is where its patches lie.
        reuse: how often a synthetic slice is used, each time moved and changed anew. kept: how many are kept for it.
        validation_synthetic: synthetic slices made of validation backgrounds for the validation.
        cache: folder for slices and masks.
    """

    cohort: str | None = None
    fold: int | None = None
    neighbours: int = 1
    balanced: bool = True
    healthy: tuple[SliceSource, ...] = ()
    phantoms: PhantomData | None = None
    phantom_backgrounds: float = 0.25
    mix: dict = field(default_factory=lambda: {"cohort": 0.5, "synthetic": 0.5})
    synthesis: dict = field(default_factory=dict)
    patch_folder: str | None = None
    reuse: int = 1
    kept: int = 1
    validation_synthetic: int = 0
    cache: str = "runs/cache"

    def __post_init__(self) -> None:
        for kind, share in self.mix.items():
            one_of("data.mix", kind, KINDS)
            if not isinstance(share, int | float) or share < 0:
                raise SettingsError(f"data.mix.{kind} is a share of 0 or more, not {share!r}.")


@dataclass(frozen=True)
class DenseLoss:
    """Supervision of the ratio head's maps, where the sample has masks (starter.md).

    Args:
        lung, patterns: weights of the two cross-entropies. score_unit: percentage points that count as 1 in the
            loss of the scores.
    """

    lung: float = 1.0
    patterns: float = 1.0
    score_unit: float = 10.0


@dataclass(frozen=True)
class ScoresConfig:
    """A complete configuration of this recipe; see the presets for examples."""

    network: NetworkConfig
    training: LoopConfig
    data: ScoreData
    bundle: BundleConfig
    recipe: str = "scores"
    seed: int = 1
    input: SliceInput = field(default_factory=SliceInput)
    augmentation: SliceAugmentation = field(default_factory=SliceAugmentation)
    dense: DenseLoss | None = None

    def __post_init__(self) -> None:
        one_of("recipe", self.recipe, ("scores",))


@dataclass(frozen=True, eq=False)
class Truth:
    """A slice before augmentation: HU, packed masks, and scores when they do not follow from the masks."""

    hu: np.ndarray
    flags: np.ndarray
    scores: tuple[float, float, float] | None
    acquired: bool


class ScoresRecipe:
    """Training of an S-Net. See :class:`..training.Recipe`."""

    def __init__(self, config: ScoresConfig) -> None:
        config = replace(config, network=resolved(config.network, "s_net"))
        self.config = config
        self.loop = config.training
        self.seed = config.seed
        self.backgrounds: Sequence[Background] = ()
        self.labelled: dict[str, list[LabelledSlice]] = {"cohort": [], "phantom": []}
        self.checks: list[tuple[str, Truth]] = []
        self.settings = SynthesisSettings.from_config(
            config.data.synthesis, Path(config.data.patch_folder) if config.data.patch_folder else None
        )
        self._background_probability: np.ndarray | None = None
        self._recent = RecentlyMade(self._made, config.data.reuse, config.data.kept)
        self._loss = regression_loss(self.loop.loss, scale=1.0)
        self._map_size = self._size_of_maps()

    @property
    def samples_per_epoch(self) -> int:
        """As many as there are cohort slices, or else backgrounds and phantom slices."""
        return len(self.labelled["cohort"]) or len(self.backgrounds) + len(self.labelled["phantom"])

    def plain_config(self) -> dict:
        """The configuration as plain values."""
        return to_plain(self.config)

    # ---- data ----------------------------------------------------------------------------------------------------

    def prepare(self, progress: Progress) -> None:
        """Reads scans, makes phantoms and the validation set.

        Raises:
            SettingsError: a kind of sample is asked for and there is nothing to make it of.
        """
        data = self.config.data
        cache = ArrayCache(Path(data.cache) / "slices")
        healthy = {s: [h for h in data.healthy if h.split == s] for s in ("train", "validation")}
        train = healthy_slices(cache, healthy["train"], progress)
        check = healthy_slices(cache, healthy["validation"], progress)
        if data.cohort:
            rows = read_cohort(data.cohort, scores=True, split_seed=self.seed, fold=data.fold, partial=True)
            lungs = data.mix.get("synthetic", 0) > 0
            parts = {
                split: cohort_slices(cache, rows.of_split(split), data.neighbours * (split == "train"), lungs, progress)
                for split in ("train", "validation")
            }
            self.labelled["cohort"] = parts["train"]
            train += [s for s in parts["train"] if s.healthy]
            self.checks += [("cohort", self._truth(s)) for s in parts["validation"]]
        if data.phantoms:
            first, count = data.phantoms.seed, data.phantoms
            seeds = list(range(first, first + count.train))
            others = list(range(first + VALIDATION_OFFSET, first + VALIDATION_OFFSET + count.validation))
            self.labelled["phantom"] = phantom_slices(cache, seeds, count.fixed, count.slices, progress)
            unseen = phantom_slices(cache, others, count.fixed, count.slices, progress)
            # The tips of the lungs are trained on, but no level lies there: they would rule the validation.
            self.checks += [("phantom", self._truth(s)) for s in unseen if s.lung_mm2 >= SMALL_LUNG_MM2]
            healthy_phantoms = [s for s in self.labelled["phantom"] if s.healthy and s.mask(LUNG).any()]
        else:
            healthy_phantoms = []
        places = [*train, *healthy_phantoms]
        needed = data.mix.get("synthetic", 0) > 0
        self.backgrounds = Backgrounds(places, anatomies(places, cache, progress) if needed else None)
        self._background_probability = self._shared(len(train), len(healthy_phantoms))
        self._probabilities()
        self._make_checks(Backgrounds(check))

    def _probabilities(self) -> None:
        data = self.config.data
        sources = {
            "cohort": self.labelled["cohort"],
            "phantom": self.labelled["phantom"],
            "synthetic": self.backgrounds,
        }
        self._kinds = [k for k in KINDS if data.mix.get(k, 0) > 0]
        for kind in self._kinds:
            if not sources[kind]:
                raise SettingsError(f"data.mix asks for {kind} samples, and there are no slices to make them of.")
        shares = np.array([data.mix[k] for k in self._kinds], float)
        self._shares = shares / shares.sum()
        self._cohort_probability = None
        if data.balanced and self.labelled["cohort"]:
            self._cohort_probability = balanced_probabilities([s.scores[0] for s in self.labelled["cohort"]])

    def _shared(self, scans: int, phantoms: int) -> np.ndarray | None:
        """Probability of every background, scans first, so that phantoms have their configured share."""
        if not scans or not phantoms:
            return None
        share = self.config.data.phantom_backgrounds
        return np.array([(1 - share) / scans] * scans + [share / phantoms] * phantoms)

    def _make_checks(self, backgrounds: Sequence[Background]) -> None:
        if backgrounds:
            settings = self.settings
            for n in range(self.config.data.validation_synthetic):
                rng = generator(self.seed, 3, n)
                sample = synthesize(backgrounds[n % len(backgrounds)], rng, settings)
                self.checks.append(("synthetic", Truth(sample.hu, packed(sample), None, True)))
        if not self.checks:
            raise SettingsError("There is nothing to validate on: give validation cases, slices or phantoms.")

    @staticmethod
    def _truth(labelled: LabelledSlice) -> Truth:
        return Truth(np.asarray(labelled.hu), np.asarray(labelled.flags), labelled.scores, False)

    def _made(self, number: int) -> Truth:
        """Slice ``number`` of the endless training set."""
        rng = generator(self.seed, 2, number)
        kind = self._kinds[int(rng.choice(len(self._kinds), p=self._shares))]
        if kind == "synthetic":
            chosen = int(rng.choice(len(self.backgrounds), p=self._background_probability))
            sample = synthesize(self.backgrounds[chosen], rng, self.settings)
            return Truth(sample.hu, packed(sample), None, self.settings.acquisition is not None)
        slices = self.labelled[kind]
        probability = self._cohort_probability if kind == "cohort" else None
        return self._truth(slices[int(rng.choice(len(slices), p=probability))])

    def sample(self, number: int) -> dict[str, np.ndarray]:
        """Training sample ``number``: ``image (1, s, s)`` in [0, 1], ``target (3,)`` percent, and for dense loss
        ``maps (4, h, w)`` (shares of each cell: lung, TOT, GG, RET) and ``dense`` (1 where there are masks)."""
        rng = generator(self.seed, 1, number)
        truth = self._recent.get(number, rng)
        matrix = slice_matrix(self.config.augmentation, max(truth.hu.shape), rng)
        return self._sample(truth, matrix, rng)

    def _sample(self, truth: Truth, matrix: np.ndarray, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
        settings, size = self.config.input, self.config.input.size
        low, high = settings.hu_window
        body = [(truth.flags & BODY) != 0] if settings.clear_outside_body else []
        hu = np.clip(truth.hu, low, high, dtype=np.float32)
        image, *body = warp_slice([hu, *body], matrix, size, [max(AIR_HU, low), *(0.0,) * len(body)])
        if rng is not None and not truth.acquired:
            image = intensity_augmented(image, self.config.augmentation, rng)
        if body:
            image[body[0] < 0.5] = AIR_HU
        np.clip(image, low, high, out=image)
        image -= np.float32(low)
        image *= np.float32(1 / (high - low))
        result = {"image": image[None]}
        if truth.scores is None or self._map_size:
            area, cells = warped_areas(truth.flags, matrix, size, self._map_size)
        if truth.scores is not None:
            result["target"] = np.asarray(truth.scores, np.float32)
        else:
            result["target"] = (100 * area[1:] / max(area[0], 1.0)).astype(np.float32)
        if self._map_size:
            result["maps"] = cells
            result["dense"] = np.float32(truth.scores is None)
        return result

    def example(self, count: int) -> dict[str, torch.Tensor]:
        """``count`` samples of noise in the shapes of real ones; see :class:`..training.Recipe`."""
        size, cells = self.config.input.size, self._map_size
        batch = {"image": torch.rand(count, 1, size, size), "target": torch.full((count, 3), 20.0)}
        if cells:
            batch |= {"maps": torch.full((count, 4, cells, cells), 0.5), "dense": torch.ones(count)}
        return batch

    def batches(self, first: int, count: int, share: tuple[int, int] = (0, 1)) -> Iterable[Mapping[str, torch.Tensor]]:
        """See :class:`..training.Recipe`."""
        return loader(BatchStream(self.sample, self.loop.batch_size, first, count, share), self.loop.workers)

    # ---- network and loss ----------------------------------------------------------------------------------------

    def network(self, start: bool = True) -> torch.nn.Module:
        """The S-Net of the configuration; its encoder from ImageNet weights, or all of it from a bundle."""
        return starting_network("s_net", self.config.network, self.config.input, start)

    def _size_of_maps(self) -> int:
        if self.config.dense is None:
            return 0
        config = self.config.network
        network = build_s_net(config.name, **config.options).eval()
        if not hasattr(network, "map_logits"):
            raise SettingsError(f"The network {network.name} has no maps: remove the section 'dense'.")
        size = self.config.input.size
        with torch.inference_mode():
            cells = network.map_logits(torch.zeros(1, 1, size, size))[0].shape[-1]
        if size % cells:
            raise SettingsError(f"An input of {size} pixels does not divide into the network's {cells} map cells.")
        return cells

    def common(self, batch: Mapping[str, torch.Tensor]) -> dict[str, float]:
        """What the patterns' loss is divided by: cells of lung per sample; see :class:`..training.Recipe`."""
        if self.config.dense is None:
            return {}
        weight = batch["maps"][:, :1] * batch["dense"][:, None, None, None]
        return {"lung_cells": float(weight.sum() / len(weight))}

    def loss(self, network: torch.nn.Module, batch: Mapping[str, torch.Tensor]):
        """The configured loss of the scores, and the maps' cross-entropies where configured."""
        target = batch["target"]
        dense = self.config.dense
        if dense is None:
            answer = network(batch["image"]).float()
            parts = {"mae": float((answer - target).abs().mean().detach())}
            return self._loss(answer, target), parts
        lung, patterns = (m.float() for m in network.map_logits(batch["image"]))
        answer = network.head(torch.cat([lung, patterns], 1))
        maps, known = batch["maps"], batch["dense"][:, None, None, None]
        cells = functional.binary_cross_entropy_with_logits(lung, maps[:, :1], reduction="none")
        lung_loss = (cells * known).mean()
        share = maps[:, 1:] / maps[:, :1].clamp_min(1e-3)
        cells = functional.binary_cross_entropy_with_logits(patterns, share.clamp(0, 1), reduction="none")
        weight = maps[:, :1] * known
        cells_per_sample = batch.get("lung_cells", weight.sum() / len(weight))
        pattern_loss = (cells * weight).sum() / (len(weight) * 3 * max(float(cells_per_sample), LEAST_LUNG_CELLS))
        score_loss = self._loss(answer / dense.score_unit, target / dense.score_unit)
        parts = {
            "mae": float((answer - target).abs().mean().detach()),
            "score_loss": float(score_loss.detach()),
            "lung_loss": float(lung_loss.detach()),
            "pattern_loss": float(pattern_loss.detach()),
        }
        return score_loss + dense.lung * lung_loss + dense.patterns * pattern_loss, parts

    def validate(self, network: torch.nn.Module, device: torch.device) -> tuple[dict[str, float], list[dict]]:
        """MAE in percentage points: per output, per kind of slice, and their mean over the kinds (``mae``)."""
        identity = np.array([[1.0, 0, 0], [0, 1, 0]])
        rows, batch = [], max(1, self.loop.batch_size)
        for start in range(0, len(self.checks), batch):
            part = self.checks[start : start + batch]
            samples = [self._sample(truth, identity, None) for _, truth in part]
            images = torch.from_numpy(np.stack([s["image"] for s in samples])).to(device)
            answers = network(images).float().clamp(0, 100).cpu().numpy()
            for (kind, _), sample, answer in zip(part, samples, answers, strict=True):
                row = {"kind": kind}
                for n, name in enumerate(("tot", "gg", "ret")):
                    row |= {name: round(float(sample["target"][n]), 2), f"{name}_raw": round(float(answer[n]), 2)}
                rows.append(row)
        figures = {}
        kinds = sorted({row["kind"] for row in rows})
        for name in ("tot", "gg", "ret"):
            errors = {k: [abs(r[name] - r[f"{name}_raw"]) for r in rows if r["kind"] == k] for k in kinds}
            figures |= {f"{k}_{name}": float(np.mean(v)) for k, v in errors.items()}
        return {"mae": float(np.mean(list(figures.values()))), **figures}, rows

    def picture(self, batch: Mapping[str, torch.Tensor]) -> np.ndarray:
        """Up to eight inputs side by side, windowed for lungs."""
        low, high = self.config.input.hu_window
        hu = batch["image"][:8, 0].cpu().numpy() * (high - low) + low
        grey = (np.clip((hu + 1350) / 1500, 0, 1) * 255).astype(np.uint8)
        rows = [np.concatenate(list(grey[i : i + 4]), axis=1) for i in range(0, len(grey) - len(grey) % 4, 4)]
        return np.concatenate(rows or [np.concatenate(list(grey), axis=1)], axis=0)

    def examples(self, path: Path) -> None:
        """Writes a contact sheet of synthetic slices, where synthesis is used; see :class:`..training.Recipe`."""
        if "synthetic" in self._kinds:
            example_sheet(self.backgrounds, self.settings, self.seed, path)


def scores_recipe(values: Mapping) -> ScoresRecipe:
    """The recipe of a configuration's plain values."""
    return ScoresRecipe(build(ScoresConfig, values))
