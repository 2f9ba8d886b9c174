"""All parts of a patient on one grid: depth fields, evaluated once, in the order in which they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import abdomen, lung_shape, mediastinum, skeleton, torso
from .grid import Lattice
from .patient import Patient, cage_depth
from .shapes import join, meet


@dataclass(frozen=True)
class Part:
    """One solid and its density.

    Args:
        depth: field, positive inside. hu: density of the solid, or of its rim.
        inner_hu: density below the rim; None: there is no rim. rim_mm: thickness of the rim.
    """

    name: str
    depth: np.ndarray
    hu: float
    inner_hu: float | None = None
    rim_mm: float = 0.0


@dataclass(frozen=True)
class Anatomy:
    """A patient on a grid: the ``parts`` in drawing order, the ``lungs``' depth, the distance to the ``pleura`` of
    chest wall and diaphragm, the ``fissures`` and the ``airways``' lumen."""

    parts: list[Part]
    lungs: np.ndarray
    pleura: np.ndarray
    fissures: np.ndarray
    airways: np.ndarray


def lung_fields(patient: Patient, grid: Lattice) -> dict[str, np.ndarray]:
    """The fields that decide where the lungs are."""
    p = grid.points
    cage = cage_depth(patient, p)
    organs = mediastinum.soft_organs(patient, grid)
    airways = mediastinum.airway_lumen(patient, grid)
    between = mediastinum.mediastinum(patient, grid, organs, airways)
    diaphragm = lung_shape.diaphragm_height(patient, p)
    lungs = lung_shape.lungs(patient, p, cage, between, diaphragm)
    pleura = np.minimum(np.minimum(cage, (p.z - diaphragm) * np.float32(0.75)), lung_shape.apex_depth(patient, p))
    return {
        "cage": cage,
        "organs": organs,
        "airways": airways,
        "diaphragm": diaphragm,
        "lungs": lungs,
        "pleura": pleura,
    }


def build(patient: Patient, grid: Lattice) -> Anatomy:
    """Every part of ``patient`` on ``grid``."""
    p, spec, blood = grid.points, patient.spec, patient.blood
    f = lung_fields(patient, grid)
    cage, organs = f["cage"], f["organs"]
    body = torso.body(patient, grid)
    muscle = torso.chest_muscle(patient, p, body, cage)
    planes = torso.fat_planes(patient, p, muscle, cage)
    thorax = meet(cage + 1.0, lung_shape.apex_depth(patient, p) + 3, 4)
    rib, cartilage = skeleton.ribs(patient, p, cage)
    spine = skeleton.spine(patient, grid)
    girdle = skeleton.girdle(patient, grid, cage)
    under = f["diaphragm"] - p.z
    diaphragm = meet(cage, under * np.float32(0.75), 2)
    cavity = meet(cage - 1.5, under * np.float32(0.75) - 2.5, 2)
    belly = abdomen.organs(patient, grid, cavity)
    bone_age = spec.rng("bone").uniform(0.75, 1.15)
    cancellous = 190 * bone_age
    parts = [
        Part("sheet", torso.sheet(patient, p, body), -760),
        Part("body", body, 5, -103, 1.8),
        Part("muscle", muscle, blood["muscle"] * 0.4 + 28),
        Part("fat planes", planes, -45),
        Part("thorax", thorax, -88),
        Part("cartilage", cartilage, 95),
        Part("ribs", rib, 480 * bone_age, 190 * bone_age, 1.3),
        Part("diaphragm", diaphragm, 45),
        Part("cavity", cavity, -95),
        Part("liver", belly["liver"], blood["liver"]),
        Part("spleen", belly["spleen"], blood["spleen"]),
        Part("gut", belly["gut"], 38, 22, 3.0),
        Part("gas", belly["gas"], -940),
        Part("discs", spine["disc"], 85),
        Part("vertebrae", spine["body"], 420 * bone_age, cancellous, 1.6),
        Part("arches", spine["arch"], 560 * bone_age, 330 * bone_age, 1.6),
        Part("canal", spine["canal"], 25),
        Part("girdle", girdle, 620 * bone_age, 210 * bone_age, 2.2),
        Part("heart", organs["muscle"], blood["muscle"]),
        Part("cava", organs["cava"], blood["cava"]),
        Part("injected vein", organs["injected"], blood["injected"]),
        Part("right blood", organs["right"], blood["right"]),
        Part("left blood", organs["left"], blood["left"]),
        Part("airway wall", join(f["airways"] + 1.6, f["airways"]), 20),
    ]
    return Anatomy(parts, f["lungs"], f["pleura"], lung_shape.fissures(patient, p), f["airways"])
