"""The slices that S-Net is evaluated on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from SScILDScoringLib.lungs import slice_lung_mask
from SScILDScoringLib.pipeline import SMALL_LUNG_MM2
from SScILDScoringLib.progress import Progress

from ..cache import ArrayCache
from ..config import build
from ..datasets import generator
from ..slice_data import BODY, GROUND_GLASS, LUNG, RETICULATION, SliceSource, healthy_slices, phantom_slices
from ..synthesis import Background, SynthesisSettings, scores_from_masks, synthesize
from ..transforms import gaussian_blur, warp_slice
from .baseline import LinearBaseline, hu_features
from .bundles import Case

BASELINE_SAMPLES = 300


def backgrounds(sources: Sequence[Mapping], cache: Path, progress: Progress) -> list[Background]:
    """The healthy slices of a list of sources."""
    found = healthy_slices(ArrayCache(cache / "slices"), [build(SliceSource, s, "slices") for s in sources], progress)
    return [s.background() for s in found]


def _synthetic(slices: Sequence[Background], count: int, settings: SynthesisSettings, *seed: int) -> list[Case]:
    cases = []
    for n in range(count):
        background = slices[n % len(slices)]
        sample = synthesize(background, generator(*seed, n), settings)
        cases.append(Case(background.name, sample.hu, sample.lung, sample.body, sample.scores))
    return cases


def drawn(slices: Sequence[Background], count: int, seed: int) -> list[Case]:
    """Procedural disease and nothing else that changes the slice."""
    return _synthetic(slices, count, SynthesisSettings().disease_only(), seed, 101)


def published(slices: Sequence[Background], count: int, seed: int, patches: Sequence[Mapping], ct: Path) -> list[Case]:
    """Disease of the published recipe with textures of the named patches."""
    settings = SynthesisSettings.from_config({"recipe": "published", "patches": list(patches)}, ct).disease_only()
    return _synthetic(slices, count, settings, seed, 102)


def fitted_baseline(slices: Sequence[Background], seed: int) -> LinearBaseline:
    """The linear baseline, fitted on procedural disease (with all augmentation) in ``slices``."""
    cases = _synthetic(slices, BASELINE_SAMPLES, SynthesisSettings(), seed, 103)
    return LinearBaseline(np.array([hu_features(c.hu, c.lung) for c in cases]), [c.truth for c in cases])


def phantom_cases(count: int, seed: int, cache: Path, progress: Progress) -> list[Case]:
    """Up to 8 slices of each of ``count`` phantoms; seeds that no training uses.

    Slices with less lung than a scored level may have without a warning (the tips of the lungs) are left out.
    """
    if not count:
        return []
    seeds = [950_000 + 1000 * seed + n for n in range(count)]
    fixed = {"matrix": 512, "slices": 80}
    cases = []
    for n, found in enumerate(phantom_slices(ArrayCache(cache / "slices"), seeds, fixed, 8, progress)):
        masks = [found.mask(bit) for bit in (LUNG, GROUND_GLASS, RETICULATION, BODY)]
        if found.lung_mm2 >= SMALL_LUNG_MM2:
            cases.append(
                Case(f"{found.name} {n}", np.asarray(found.hu), masks[0], masks[3], scores_from_masks(*masks[:3]))
            )
    return cases


def perturbed(slices: Sequence[Background], seed: int) -> Iterator[tuple[str, list[Case]]]:
    """The healthy slices as they are and under each perturbation of the project's bars."""
    for name in ("as scanned", "blurred", "sharpened", "60 HU noise", "+50 HU", "lung +80 HU", "scale 0.8"):
        yield name, [perturbed_case(name, b, generator(seed, 104, n)) for n, b in enumerate(slices)]


def perturbed_case(name: str, background: Background, rng: np.random.Generator) -> Case:
    """One healthy slice under one perturbation: blur of 1 pixel (SD), unsharp masking with amount 1, Gaussian noise,
    offset of everything, offset of the lung's pixels below -300 HU, or shrunk to 80 % in its frame."""
    hu = background.hu.astype(np.float32)
    lung = background.lung
    if name == "blurred":
        hu = gaussian_blur(hu, 1.0)
    elif name == "sharpened":
        hu = hu + (hu - gaussian_blur(hu, 1.0))
    elif name == "60 HU noise":
        hu = hu + 60 * rng.standard_normal(hu.shape, dtype=np.float32)
    elif name == "+50 HU":
        hu = hu + 50
    elif name == "lung +80 HU":
        hu = hu + 80 * (lung & (hu < -300))
    elif name == "scale 0.8":
        matrix = np.array([[1.25, 0, 0], [0, 1.25, 0]])
        warped = warp_slice(np.stack([hu, lung]), matrix, hu.shape[0], np.array([-1024, 0], np.float32))
        hu, lung = warped[0], warped[1] >= 0.5
    hu = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    return Case(background.name, hu, lung, None, (0.0, 0.0, 0.0))


def single_case(path: str) -> Case:
    """A single-slice file with the lung mask of the slice alone.

    Raises:
        ScanError: the file cannot be read.
    """
    import SimpleITK as sitk

    from SScILDScoringLib.errors import ScanError

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise ScanError(f"The slice {path} cannot be read.") from error
    hu = sitk.GetArrayFromImage(image).squeeze()
    spacing = image.GetSpacing()[1], image.GetSpacing()[0]
    return Case(Path(path).stem, hu, slice_lung_mask(hu, spacing), None, None)
