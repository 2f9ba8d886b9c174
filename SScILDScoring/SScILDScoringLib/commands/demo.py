"""A CT that nobody has to own: a phantom with known disease, scored and compared with its truth."""

from __future__ import annotations

from pathlib import Path

from ..outputs import write_case
from ..progress import Progress, silent
from ..report import Truth
from ..results import ScanResult
from .slicer_files import scene_writers

CASE = "phantom"
SEED = 11


def demo_spec():
    """The demo's patient: moderate basal disease, ground glass with reticulation; the same at every run."""
    from ..phantom import PhantomSpec
    from ..phantom.spec import DiseaseSpec

    disease = DiseaseSpec(ground_glass=0.22, reticulation=0.14, distribution="basal", severity=0.55, overlap=0.5)
    return PhantomSpec(seed=SEED, spacing=(0.72, 0.72, 2.5), noise_hu=14.0, disease=disease)


def run_demo(
    out: str | Path,
    *,
    device: str = "auto",
    spec=None,
    l_net=None,
    s_net=None,
    heat_maps: bool = True,
    progress: Progress = silent,
) -> tuple[ScanResult, Truth, Path]:
    """Makes the phantom, scores it, and writes results and report to ``out/phantom``.

    Args:
        out: folder of all cases; an earlier demo in it is replaced.
        device: as in :func:`~SScILDScoringLib.devices.choose_device`.
        spec: another phantom than :func:`demo_spec`.
        l_net, s_net: bundles; the ones that come with the software when None. Without an L-Net the levels come from
            the anatomy.
        heat_maps: compute heat maps.
        progress: told about every stage.

    Returns:
        Result, the phantom's truth, and the folder of the case.

    Raises:
        ModelError: no S-Net is there.
    """
    from ..phantom import make_phantom
    from ..pipeline import find_model, score_scan

    networks = {"l_net": l_net or find_model(None, "l_net", optional=True) or False}
    networks["s_net"] = s_net or find_model(None, "s_net")
    phantom = make_phantom(spec or demo_spec(), progress)
    result = score_scan(phantom.scan, case=CASE, device=device, heat_maps=heat_maps, progress=progress, **networks)
    truth = Truth(phantom.levels, tuple(phantom.scores(k) for k in result.slice_indices))
    folder = write_case(result, out, overwrite=True, truth=truth, also=scene_writers(), progress=progress)
    return result, truth, folder
