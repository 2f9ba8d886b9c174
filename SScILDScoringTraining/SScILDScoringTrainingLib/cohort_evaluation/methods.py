"""The methods paragraph of a report: what was done, with what, on what, ready to cite."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from SScILDScoringLib import __version__
from SScILDScoringLib.results import NOTICE
from SScILDScoringLib.scores import PATTERNS

from ..agreement.markdown import definitions

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

    from .evaluation import CohortEvaluation

_SOURCES = (
    "The method is that of Jia et al., Sci Rep 2024 (doi 10.1038/s41598-024-78393-4); Goh stages after Goh et al., "
    "Am J Respir Crit Care Med 2008."
)


def methods_text(evaluation: CohortEvaluation) -> str:
    """The paragraphs, separated by empty lines."""
    parts = [_software(evaluation), _data(evaluation), _comparison(evaluation)]
    if evaluation.scores:
        parts.append(f"Scores. {definitions(evaluation.scores)}")
    if evaluation.levels:
        parts.append(f"Levels. {definitions(evaluation.levels)}")
    if evaluation.heat_maps:
        parts.append(f"Heat maps. {_maps(evaluation)} {evaluation.heat_maps.definitions()}")
    parts.append(f"{_SOURCES} {NOTICE}")
    return "\n\n".join(parts)


def _software(evaluation: CohortEvaluation) -> str:
    versions = f"Python {platform.python_version()}, PyTorch {metadata.version('torch')}"
    place = f" on {evaluation.device}" if evaluation.device else ""
    text = [f"CT scores were computed with SScILDScoring {__version__} ({versions}){place}."]
    if evaluation.l_net is not None:
        text.append(f"The five levels were placed by L-Net, {_model(evaluation.l_net)}")
    else:
        text.append("The five levels were placed by landmarks of the anatomy, without a network.")
    text.append(f"Slices were scored by S-Net, {_model(evaluation.s_net)}")
    text.append(
        f"{', '.join(p.name for p in PATTERNS)} are percent of the slice's lung area, limited to 0-100 and rounded to "
        "the nearest 5."
    )
    return " ".join(text)


def _model(bundle: ModelBundle) -> str:
    text = f"model {bundle.name} {bundle.version} (network {bundle.network_name}, SHA-256 {bundle.sha256})."
    return text if bundle.validated else f"{text} {bundle.notice or 'Not clinically validated.'}"


def _data(evaluation: CohortEvaluation) -> str:
    run = evaluation.run
    cases, patients = len(run.rows), evaluation.patients
    if evaluation.cases.phantoms:
        text = [
            f"The data were {cases} phantoms: synthetic chest CTs whose levels, disease masks and scores are known "
            "exactly. They are not patients, and nothing here holds for patients."
        ]
    else:
        whose = "" if patients == cases else f" of {patients} patients"
        text = [f"The data were {cases} chest CTs{whose} ({evaluation.cases.what.rstrip('.')})."]
    text += evaluation.notes
    if evaluation.scores:
        slices = max(row.n for row in evaluation.scores.rows)
        text.append(f"The reference scored {slices} slices.")
    if run.failures:
        text.append(f"{len(run.failures)} further case{'s' if len(run.failures) > 1 else ''} could not be scored.")
    return " ".join(text)


def _comparison(evaluation: CohortEvaluation) -> str:
    found = "L-Net" if evaluation.l_net is not None else "the anatomy"
    return (
        "S-Net was run on the reference's levels; L&S-Net is the cascade, S-Net on the levels found by "
        f"{found}, compared with the reference's score of the same level. Rows called inter-observer compare the two."
    )


def _maps(evaluation: CohortEvaluation) -> str:
    settings = evaluation.s_net.heat_maps
    given = any(row.lung_path for row in evaluation.run.rows)
    lungs = "lung masks of the reference" if given else "lungs as the software finds them"
    patch, step = settings.get("patch_size", 64), settings.get("step", 16)
    return (
        f"Replacement-based heat maps of the slices at the reference's levels (healthy patch of {patch} x {patch} "
        f"pixels, step {step}; {lungs})."
    )
