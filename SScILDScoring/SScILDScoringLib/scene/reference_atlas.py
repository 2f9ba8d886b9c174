"""The reference atlas: synthetic slices with 5, 20 and 50 % of each pattern, to look at beside the slice one scores.

The pictures are made by ``Resources/Atlas/make_reference_atlas.py`` and lie in the module's resources.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..scores import PATTERNS, Pattern
from .blinded_case import BLINDED_ATTRIBUTE
from .errors import SceneError
from .reading_views import ATLAS_VIEWS, showVolumeIn, sliceNode
from .removal import removeNode
from .views import fitView
from .volumes import showLungWindow

FILE = "SScILDScoringAtlas"


@dataclass(frozen=True)
class Example:
    """One picture of the atlas.

    Args:
        pattern, percent: what it stands for. exact: TOT, GG, RET of the slice in percent, counted on the true masks.
        hu: int16 Hounsfield units ``(y, x)``, limited to the lung window; the caption at the bottom is part of it.
    """

    pattern: Pattern
    percent: int
    exact: tuple[float, float, float]
    hu: np.ndarray

    @property
    def title(self) -> str:
        """What it shows, and that it is no patient."""
        return f"Synthetic example: {self.pattern.name} {self.percent} %"


def readExamples(folder: str | Path) -> tuple[Example, ...]:
    """All examples, pattern by pattern, the least extensive first.

    Args:
        folder: with ``SScILDScoringAtlas.png`` and ``.json``.

    Raises:
        SceneError: they are missing or cannot be read; the module's installation is incomplete then.
    """
    picture, description = Path(folder) / f"{FILE}.png", Path(folder) / f"{FILE}.json"
    try:
        facts = json.loads(description.read_text(encoding="utf-8"))
        grey = _greyValues(picture)
        (width, level), columns = facts["window"], int(facts["columns"])
        rows = len(facts["tiles"]) // columns
        height, breadth = grey.shape[0] // rows, grey.shape[1] // columns
        hu = np.rint(grey * (width / 255.0) + (level - width / 2)).astype(np.int16)
        found = []
        for number, tile in enumerate(facts["tiles"]):
            row, column = divmod(number, columns)
            part = hu[row * height : (row + 1) * height, column * breadth : (column + 1) * breadth]
            exact = tuple(float(tile[p.value]) for p in PATTERNS)
            found.append(Example(Pattern(tile["pattern"]), int(tile["percent"]), exact, part))
        return tuple(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError("The reference atlas is missing or damaged; install the module again.") from error


class ReferenceAtlas:
    """The examples of one pattern in their three views.

    Args:
        scene: where their volumes go while they are shown. folder: as in :func:`readExamples`; read when first shown.
    """

    def __init__(self, scene, folder: str | Path) -> None:
        self.scene, self.folder = scene, Path(folder)
        self._examples: tuple[Example, ...] = ()
        self._nodes: list = []
        self.pattern: Pattern | None = None

    def show(self, pattern: Pattern) -> None:
        """Puts the examples of a pattern into the atlas's views, one each.

        Raises:
            SceneError: the atlas is not there.
        """
        if not self._examples:
            self._examples = readExamples(self.folder)
        if pattern is not self.pattern or any(node.GetScene() is None for node in self._nodes):
            self.remove()
            chosen = [example for example in self._examples if example.pattern is pattern]
            self._nodes = [self._volume(example) for example in chosen]
            self.pattern = pattern
        for name, node in zip(ATLAS_VIEWS, self._nodes, strict=True):
            showVolumeIn(self.scene, name, node)
        self.fit()

    def fit(self) -> None:
        """Shows the whole of every example in its view (views get their size only once they are on the screen)."""
        for name, node in zip(ATLAS_VIEWS, self._nodes, strict=False):
            width, height, _one = node.GetImageData().GetDimensions()
            view = sliceNode(self.scene, name)
            view.SetOrientation("Axial")
            matrix = view.GetSliceToRAS()
            for axis in range(3):
                matrix.SetElement(axis, 3, 0.0)
            view.UpdateMatrices()
            spacing = node.GetSpacing()
            fitView(view, (width * spacing[0], height * spacing[1]))

    def remove(self) -> None:
        """Takes the examples out of views and scene."""
        for name in ATLAS_VIEWS:
            if self._nodes and self.scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode") is not None:
                showVolumeIn(self.scene, name, None)
        for node in self._nodes:
            removeNode(node)
        self._nodes, self.pattern = [], None

    def _volume(self, example: Example):
        node = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", example.title)
        node.SetAttribute(BLINDED_ATTRIBUTE, "atlas")
        node.SetHideFromEditors(True)
        height, width = example.hu.shape
        matrix = np.diag([-1.0, -1.0, 1.0, 1.0])  # columns to the patient's left, rows to the back: as an axial slice
        matrix[:2, 3] = (width - 1) / 2, (height - 1) / 2
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(example.hu[None]))
        node.CreateDefaultDisplayNodes()
        showLungWindow(node)
        for part in (node, node.GetDisplayNode()):
            part.SetSaveWithScene(False)
        return node


def _greyValues(path: Path) -> np.ndarray:
    """A grey PNG as uint8 ``(rows, columns)``, first row on top. Raises OSError."""
    if not path.is_file():
        raise OSError(f"{path.name} is missing")
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    width, height, _one = image.GetDimensions()
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    if width < 1 or height < 1 or values.shape != (width * height,):
        raise OSError(f"{path.name} is no grey picture")
    return values.reshape(height, width)[::-1].copy()
