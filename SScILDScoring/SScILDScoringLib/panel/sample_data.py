"""The sample CT: a phantom with known disease, made on this computer. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..progress import Progress, silent

SAMPLE_NAME = "SScILDPhantom"


def sampleSpec():
    """The sample's patient: moderate basal disease, ground glass with reticulation; the same every time."""
    from ..phantom import DiseaseSpec, PhantomSpec

    disease = DiseaseSpec(ground_glass=0.22, reticulation=0.14, distribution="basal", severity=0.55, overlap=0.5)
    return PhantomSpec(seed=11, matrix=256, spacing=(1.44, 1.44, 2.5), noise_hu=14.0, disease=disease)


def makeSample(spec=None, progress: Progress = silent):
    """Makes the sample CT and puts it into the scene, with a lung window.

    Args:
        spec: another phantom than :func:`sampleSpec`.
        progress: may cancel; the scene is then as it was.

    Returns:
        The volume node.

    Raises:
        Cancelled: by ``progress``.
    """
    from ..phantom import make_phantom
    from ..scene.volumes import volumeFromScan

    scan = make_phantom(spec or sampleSpec(), progress).scan
    return volumeFromScan(scan, SAMPLE_NAME, slicer.mrmlScene)


def registerPhantom(iconsFolder: str | Path) -> None:
    """Offers the phantom in the Sample Data module, as an entry of its own category.

    Args:
        iconsFolder: the module's folder of icons, or any path of the module; the thumbnail is shown where it is found.
    """
    import SampleData

    folder = Path(iconsFolder)
    folder = folder.parent if folder.suffix == ".py" else folder
    candidates = (folder / "SScILDScoring.png", folder / "Resources" / "Icons" / "SScILDScoring.png")
    thumbnail = next((str(path) for path in candidates if path.is_file()), None)
    SampleData.SampleDataLogic.registerCustomSampleDataCategory("SScILDScoring", _("SSc-ILD Scoring"))
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="SScILDScoring",
        sampleName=SAMPLE_NAME,
        thumbnailFileName=thumbnail,
        customDownloader=lambda _source: makeSample(),
    )
