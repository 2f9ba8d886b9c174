"""A cohort's numbers: scores and levels against the reference, heat maps, failures; and everything written out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from SScILDScoringLib.files import write_text
from SScILDScoringLib.progress import Progress, silent
from SScILDScoringLib.results import plain

from ..agreement.report import Agreement, compare
from ..agreement.rows import Settings
from ..agreement.tables import LevelTable, ScoreTable
from ..evaluation.cases import Cases
from ..heat_map_evaluation.report import HeatMapEvaluation
from ..heat_map_evaluation.run import Settings as HeatMapEvaluationSettings
from ..heat_map_evaluation.run import evaluation_of
from . import figures, tables
from .running import CohortRun, run_cohort

if TYPE_CHECKING:
    from SScILDScoringLib.models import ModelBundle

REPORT = "report.html"


@dataclass(frozen=True, eq=False)
class CohortEvaluation:
    """What a pair of networks is worth on a cohort.

    Args:
        cases: what was asked for. run: what was computed.
        s_net: the bundle that scored. l_net: the one that placed the levels; None: anatomy without a network.
        scores: S-Net on the reference levels and L&S-Net on its own, against the reference; None without any score.
        levels: L-Net's levels against the reference's. compared: the tables behind both, reference first.
        heat_maps: thresholds, derived scores and localisation; None when no heat maps were made.
        settings: of bootstrap and tests. device: in words.
    """

    cases: Cases
    run: CohortRun
    s_net: ModelBundle
    l_net: ModelBundle | None
    scores: Agreement | None
    levels: Agreement | None
    compared: Mapping[str, tuple[ScoreTable | LevelTable, ...]]
    heat_maps: HeatMapEvaluation | None
    settings: Settings
    device: str = ""

    @property
    def bundles(self) -> list[ModelBundle]:
        """The networks, L-Net first."""
        return [b for b in (self.l_net, self.s_net) if b is not None]

    @property
    def patients(self) -> int:
        """Patients whose cases went through."""
        return len({row.patient for row in self.run.rows})

    @property
    def remarks(self) -> list[str]:
        """What is worth knowing about the table and the cohort, as sentences."""
        return [*self.cases.remarks, *self.notes]

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures has to know about the cohort, as sentences."""
        found = []
        trained = [b.name for b in self.bundles if "phantom" in str(b.metadata.training_data).lower()]
        if self.cases.phantoms and trained:
            found.append(
                f"{' and '.join(trained)} learned from other phantoms of the same generator, which flatters the "
                "figures."
            )
        if self.patients < len(self.run.rows):
            found.append(
                f"{len(self.run.rows)} scans of {self.patients} patients: intervals draw patients with all their scans."
            )
        return found

    def write(
        self, out: str | Path, progress: Progress = silent, formats: Sequence[str] = figures.FORMATS
    ) -> list[Path]:
        """Writes ``report.html``, ``evaluation.json`` and the folders ``scores``, ``levels`` and ``heat_maps``.

        Args:
            formats: endings of the figures' files, ``png`` first: the report shows that one.

        Returns:
            The files, the report first.

        Raises:
            SettingsError: a file cannot be written. Cancelled: by ``progress`` (stage ``figures``).
        """
        from . import page
        from .methods import methods_text

        out = Path(out)
        written = []
        for name, agreement in (("scores", self.scores), ("levels", self.levels)):
            if agreement is not None:
                written += agreement.write(out / name)
        if self.heat_maps is not None:
            written += self.heat_maps.write(out / "heat_maps")
        pictures = figures.draw(self, out, progress, formats)
        written += [path for picture in pictures for path in picture.files]
        written.append(write_text(out / "methods.txt", methods_text(self) + "\n"))
        values = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        written.append(write_text(out / "evaluation.json", values))
        report = write_text(out / REPORT, page.html(self, pictures))
        return [report, *written]

    def to_dict(self) -> dict:
        """What ``evaluation.json`` holds; plain values."""
        from .methods import methods_text

        return plain(
            {
                "data": self.cases.what,
                "cases": [row.case for row in self.run.rows],
                "patients": self.patients,
                "failures": [{"case": case, "message": why} for case, why in self.run.failures],
                "models": [
                    {"kind": b.kind, "name": b.name, "version": b.version, "sha256": b.sha256, "notice": b.notice}
                    for b in self.bundles
                ],
                "device": self.device,
                "settings": vars(self.settings),
                "scores": self.scores.to_dict() if self.scores else None,
                "levels": self.levels.to_dict() if self.levels else None,
                "heat_maps": self.heat_maps.to_dict() if self.heat_maps else None,
                "remarks": self.remarks,
                "methods": methods_text(self),
            }
        )


def evaluate_cohort(
    cases: Cases,
    out: str | Path,
    *,
    s_net: ModelBundle,
    l_net: ModelBundle | None,
    heat_maps: bool = True,
    settings: Settings | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = silent,
    on_case: Callable | None = None,
) -> CohortEvaluation:
    """Runs the cohort (results of the cases in ``out/cases``) and compares it with its reference.

    Args:
        cases: the cases with their reference levels and, where there are any, scores.
        s_net: scores the slices. l_net: places the levels; None: anatomy without a network.
        heat_maps: also thresholds, derived scores and, with masks of the disease, localisation.
        settings: bootstrap, seed, correction of p-values. on_case: told after every case.
        overwrite: replace results of cases that were made with other settings.

    Raises:
        SScILDError: networks or folder cannot be used, or no case went through. Cancelled: by ``progress``.
    """
    from SScILDScoringLib.devices import choose_device, device_name
    from SScILDScoringLib.slice_network import SliceNetwork

    settings = settings or Settings()
    network = SliceNetwork(s_net, device)
    run = run_cohort(
        cases,
        out,
        s_net=network,
        l_net=l_net or False,
        heat_maps=heat_maps,
        device=device,
        overwrite=overwrite,
        progress=progress,
        on_case=on_case,
    )
    tables.check(run)
    compared = tables.score_tables(cases, run), tables.level_tables(cases, run, l_net)
    fvc = {row.case: row.fvc_percent for row in run.rows if row.fvc_percent is not None}
    scores, levels = (
        compare(found[0], found[1:], settings, fvc if kind == 0 and fvc else None, progress) if found else None
        for kind, found in enumerate(compared)
    )
    records = [record for row in run.rows for record in run.reference[row.case].records]
    maps = None
    if records:
        of_maps = HeatMapEvaluationSettings(settings.samples, settings.seed, cases.what)
        maps = evaluation_of(s_net, records, of_maps)
    return CohortEvaluation(
        cases,
        run,
        s_net,
        l_net,
        scores,
        levels,
        {"scores": compared[0], "levels": compared[1]},
        maps,
        settings,
        device_name(choose_device(device)),
    )
