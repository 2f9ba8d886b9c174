"""What a study of the panel is made of: its kind, the training that is repeated, and the command line for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from SScILDScoringLib.errors import SettingsError

from ..runs import Preset, overrides_for, presets

KINDS = ("folds", "ablation", "architectures", "compare")
FACTORS = ("ds", "bs", "pt")
PHANTOMS = "phantoms"
ENDINGS = (".yaml", ".yml")


def kindTitle(kind: str) -> str:
    """A kind of study in words."""
    return {
        "folds": _("Cross-validation (folds)"),
        "ablation": _("Ablation: synthesis, balancing, pre-training"),
        "architectures": _("Networks compared"),
        "compare": _("Configurations compared (synthesis recipes)"),
    }[kind]


def kindExplanation(kind: str) -> str:
    """What a kind of study answers, in a sentence or two."""
    return {
        "folds": _(
            "The training is done once for every fold; each case is scored by the run that has not seen it. All "
            "cases together tell how well the training does on new patients."
        ),
        "ablation": _(
            "The training is done with and without synthetic disease (DS), balanced sampling (BS) and pre-training "
            "(PT): what each contributes, beside the published figures."
        ),
        "architectures": _("Other networks are trained as the preset's own is: errors, sizes and operations."),
        "compare": _("The configurations that a study file lists, each against the first one, with several seeds."),
    }[kind]


def repeated(kind: str) -> tuple[Preset, ...]:
    """The presets that a kind of study can be made of."""
    fitting = {
        "folds": ("levels", "scores"),
        "ablation": ("ablation", "scores"),
        "architectures": ("architectures", "levels", "scores"),
        "compare": ("compare",),
    }[kind]
    known = [p for p in presets() if p.recipe in fitting and not set(p.needs) - {"COHORT", "IMAGENET"}]
    # A preset that trains on phantoms alone has nothing to leave out: only studies may do without a cohort.
    usable = [p for p in known if p.needs_cohort or p.is_study]
    return tuple(sorted(usable, key=lambda p: fitting.index(p.recipe) if kind != "folds" else 0))


def ownFile(path: str | Path, kind: str) -> Preset:
    """A configuration or study file of the user's own.

    Raises:
        SettingsError: it is none, or not one for this kind of study.
    """
    path = Path(path).expanduser().absolute()
    if path.suffix not in ENDINGS:
        raise SettingsError(_("{name} is no configuration: its name ends in .yaml.").format(name=path.name))
    found = next((p for p in presets(path.parent) if p.path.name == path.name), None)
    if found is None:
        raise SettingsError(_("{name} is no configuration of a training or a study.").format(name=path.name))
    wanted = {"folds": ("levels", "scores"), "ablation": ("ablation", "scores"), "compare": ("compare",)}
    if found.recipe not in wanted.get(kind, ("architectures", "levels", "scores")):
        raise SettingsError(_("{name} is no configuration for this kind of study.").format(name=path.name))
    return found


def bringsPhantoms(preset: Preset) -> bool:
    """Whether a study file makes its own cohort of phantoms."""
    return preset.is_study and f"\n{PHANTOMS}:" in preset.path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class StudyChoice:
    """Everything chosen for a study; zero or empty: as the preset says.

    Args:
        kind: one of :data:`KINDS`. preset: what is repeated. table: cohort table.
        folds: to draw. test: no folds, the split ``test`` is asked about. seeds: how many trainings of each.
        factors: of an ablation. networks: to compare. weights: a file to start from. minutes: for each run.
        device: ``auto``, ``cpu`` or ``cuda``. parallel: runs at once. cache: folder for resized scans.
    """

    kind: str
    preset: Preset
    table: Path | None = None
    folds: int = 0
    test: bool = False
    seeds: int = 0
    factors: tuple[str, ...] = FACTORS
    networks: tuple[str, ...] = ()
    weights: str = ""
    minutes: int = 0
    device: str = "auto"
    parallel: int = 0
    cache: Path | None = None

    @property
    def needsTable(self) -> bool:
        """Whether it must be given a cohort table."""
        return self.preset.needs_cohort

    @property
    def usesTable(self) -> bool:
        """Whether a chosen cohort table is used."""
        return not bringsPhantoms(self.preset)

    def overrides(self) -> tuple[str, ...]:
        """The ``--set`` values.

        Raises:
            SettingsError: something that the preset needs is missing.
        """
        needed = "IMAGENET" in self.preset.needs
        found = overrides_for(
            self.preset,
            self.table if self.needsTable else None,
            device=self.device if self.device != "auto" else None,
            minutes=float(self.minutes) if self.minutes else None,
            weights=(self.weights or "imagenet") if needed else None,
            cache=self.cache,
        )
        if self.table is not None and self.usesTable and not self.needsTable:
            start = "configuration." if self.preset.is_study else ""
            found += (f"{start}data.cohort={json.dumps(str(self.table), ensure_ascii=False)}",)
        return found

    def options(self) -> tuple[str, ...]:
        """The other arguments of the command."""
        found: list[str] = []
        comparing = self.kind != "folds"
        if self.folds and not self.test and self.kind != "compare":  # a study file has its own
            found += ["--folds", str(self.folds)]
        if self.seeds and comparing:
            found += ["--seeds", str(self.seeds)]
        if self.test and self.kind in ("ablation", "architectures"):
            found.append("--test")
        if self.kind == "ablation":
            found += ["--factors", ",".join(self.factors)]
            if self.weights and "IMAGENET" not in self.preset.needs:
                found += ["--pretrained", self.weights]
        if self.kind == "architectures" and self.networks:
            found += ["--networks", ",".join(self.networks)]
        if self.parallel:
            found += ["--parallel", str(self.parallel)]
        return tuple(found)

    def inWords(self) -> str:
        """How many trainings it takes, as far as that is known before the table is read."""
        configurations = {"ablation": 2 ** len(self.factors), "architectures": 1 + len(self.networks)}
        each = configurations.get(self.kind, 1) * max(self.seeds, 1)
        if self.test:
            return _("{count} trainings").format(count=each)
        if self.folds:
            return _("{count} trainings").format(count=each * self.folds)
        if self.kind == "compare" or bringsPhantoms(self.preset):
            return _("the trainings of the study")
        return _("{count} for every fold").format(
            count=_("one training") if each == 1 else _("{n} trainings").format(n=each)
        )
