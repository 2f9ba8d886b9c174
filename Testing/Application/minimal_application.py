"""What Slicer has before Qt, from the slicer-core wheel alone: a scene, its logics, and slice views nobody sees.

``MinimalApplication`` owns a scene and the logics that make it work, ``OffscreenSliceView`` draws one slice view of it,
``Mouse`` moves a pointer in such a view through Slicer's own interaction style. Nothing here needs Qt or a screen::

    with MinimalApplication() as application:
        volume = slicer.util.addVolumeFromArray(voxels, ijkToRas, "CT")
        view = application.sliceView("Green", "Coronal")
        view.show(volume)
        savePicture(view.render(), "coronal.png")
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

if not os.environ.get("DISPLAY"):  # read when the first window is made; without it VTK first complains about X
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

SLICE_VIEW_MANAGERS = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)

MODULE_LOGICS = {
    "Markups": "vtkSlicerMarkupsLogic",
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Models": "vtkSlicerModelsLogic",
}
"""Module logics by the name under which Slicer knows them; they register node classes and serve display managers."""


class MinimalApplication:
    """Scene, application logic, module logics and slice-view display managers.

    One of them is the current one: ``slicer.mrmlScene`` and the factory of display managers are shared by the whole
    process. Making another takes over; ``close()`` (or the end of a ``with`` block) takes everything down.

    Attributes:
        scene: the ``vtkMRMLScene``, also ``slicer.mrmlScene``.
        logic: the ``vtkSlicerApplicationLogic``.
        modules: module logics by module name, see ``MODULE_LOGICS``.
        layoutLogic: the real ``vtkMRMLLayoutLogic``; its layout node makes view nodes from a layout description.
        views: the slice views made by :meth:`sliceView`, by layout name.
    """

    def __init__(self) -> None:
        self.views: dict[str, OffscreenSliceView] = {}
        self.modules: dict[str, object] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="sscild-application-")
        (Path(self._folder.name) / "share" / "ColorFiles").mkdir(parents=True)  # an empty one: the wheel has none

        self.scene = slicer.vtkMRMLScene()
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetHomeDirectory(self._folder.name)
        self.logic.SetShareDirectory("share")
        self.logic.SetTemporaryPath(self._folder.name)
        self.logic.SetMRMLScene(self.scene)  # adds the selection, interaction and crosshair nodes
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        self.sliceLogics = vtk.vtkCollection()
        self.logic.SetSliceLogics(self.sliceLogics)
        for name, className in MODULE_LOGICS.items():
            self.addModule(name, getattr(slicer, className)())
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)

        self.factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        for name in SLICE_VIEW_MANAGERS:
            if not self.factory.IsDisplayableManagerRegistered(name):
                self.factory.RegisterDisplayableManager(name)

        self.layoutLogic = slicer.vtkMRMLLayoutLogic()
        self.layoutLogic.SetMRMLScene(self.scene)
        self.makeCurrent()

    def makeCurrent(self) -> None:
        """Makes this application the one that ``slicer.util`` and new views work with."""
        slicer.mrmlScene = self.scene  # slicer.util looks it up with every call
        self.factory.SetMRMLApplicationLogic(self.logic)

    def addModule(self, name: str, moduleLogic) -> None:
        """Makes a module's logic known under its name and keeps it alive: the application logic itself does not."""
        moduleLogic.SetMRMLApplicationLogic(self.logic)
        moduleLogic.SetMRMLScene(self.scene)
        self.logic.SetModuleLogic(name, moduleLogic)
        self.modules[name] = moduleLogic

    @property
    def layoutNode(self):
        """The scene's ``vtkMRMLLayoutNode``."""
        return self.layoutLogic.GetLayoutNode()

    def sliceView(self, layoutName: str, orientation: str | None = None, size=(520, 520)) -> OffscreenSliceView:
        """A slice view; takes the scene's slice node of that name when there is one (from a layout)."""
        view = OffscreenSliceView(self, layoutName, orientation, size)
        self.views[layoutName] = view
        return view

    def close(self) -> None:
        """Takes down views, logics and scene. Safe to call twice."""
        if self.scene is None:
            return
        for view in list(self.views.values()):
            view.close()
        self.factory.SetMRMLApplicationLogic(None)
        self.layoutLogic.SetMRMLScene(None)
        self.scene.Clear(1)
        for name in self.modules:
            self.logic.SetModuleLogic(name, None)
        self.modules.clear()
        self.sliceLogics.RemoveAllItems()
        self.logic.GetColorLogic().SetMRMLScene(None)
        self.logic.SetMRMLScene(None)
        if getattr(slicer, "mrmlScene", None) is self.scene:
            slicer.mrmlScene = None
        self.scene = None
        self._folder.cleanup()

    def __enter__(self) -> MinimalApplication:
        return self

    def __exit__(self, *unused) -> None:
        self.close()


class OffscreenSliceView:
    """One slice view: slice logic, slice node, display managers and a window off screen.

    Args:
        application: whose scene is shown.
        layoutName: the view's name; its node is ``vtkMRMLSliceNode<layoutName>``.
        orientation: ``Axial``, ``Coronal`` or ``Sagittal``; None leaves a node that exists as it is.
        size: width and height in pixels.
    """

    def __init__(
        self, application: MinimalApplication, layoutName: str, orientation: str | None = None, size=(520, 520)
    ) -> None:
        self.layoutName = layoutName
        self.application = application
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.renderer.SetBackground(0, 0, 0)
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)

        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application.logic)
        self.logic.SetMRMLScene(application.scene)
        application.sliceLogics.AddItem(self.logic)
        self.node = application.scene.GetNodeByID(f"vtkMRMLSliceNode{layoutName}")
        if self.node is None:
            self.node = self.logic.AddSliceNode(layoutName)
        else:
            self.logic.SetSliceNode(self.node)
        if orientation is not None:
            self.node.SetOrientation(orientation)
        self.node.SetMappedInLayout(1)

        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.SetRenderer(self.renderer)
        self.managers.Initialize(application.factory, self.renderer)
        self.managers.SetMRMLDisplayableNode(self.node)

        # In Slicer a CTK class puts the blended slice on the screen; it is not in the wheel, an image mapper is.
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._emptyImage = vtk.vtkImageData()
        self.logic.ResizeSliceNode(*size)

    @property
    def compositeNode(self):
        """The ``vtkMRMLSliceCompositeNode`` that says which volumes the view shows."""
        return self.logic.GetSliceCompositeNode()

    def show(self, background, foreground=None, opacity: float = 1.0) -> None:
        """Shows volume nodes as background and foreground and fits the view to the background."""
        self.compositeNode.SetBackgroundVolumeID(background.GetID() if background else None)
        self.compositeNode.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        self.compositeNode.SetForegroundOpacity(opacity)
        self.fit()

    def fit(self) -> None:
        """Fits the view to its background volume."""
        self.logic.FitSliceToBackground()

    def resize(self, width: int, height: int) -> None:
        """Gives the view another size in pixels."""
        self.window.SetSize(width, height)
        self.logic.ResizeSliceNode(width, height)

    def render(self) -> np.ndarray:
        """The picture: uint8 RGB, shape (height, width, 3), first row on top."""
        if self.logic.GetImageDataConnection() is None:
            self.renderer.RemoveViewProp(self._actor)  # nothing is shown: the mapper would complain
        else:
            self._mapper.SetInputConnection(self.logic.GetImageDataConnection())
            self.renderer.AddViewProp(self._actor)
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()

    def pixelOf(self, ras) -> tuple[float, float]:
        """Where a point in RAS lies in the view: (x, y) in pixels from the lower left corner, as mouse events count."""
        rasToXY = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), rasToXY)
        return rasToXY.MultiplyPoint((*ras, 1.0))[:2]

    def rasOf(self, x: float, y: float) -> tuple[float, float, float]:
        """The point in RAS below pixel (x, y)."""
        return self.node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3]

    def close(self) -> None:
        """Takes the view down; its slice node stays in the scene."""
        if self.window is None:
            return
        self.renderer.RemoveViewProp(self._actor)
        self.managers.SetMRMLDisplayableNode(None)
        self.application.sliceLogics.RemoveItem(self.logic)
        self.application.views.pop(self.layoutName, None)
        self.interactor.SetInteractorStyle(None)
        self.window.Finalize()
        self.logic.SetMRMLScene(None)
        self.managers = self.interactor = self.window = None


class Mouse:
    """A pointer in one slice view; its events go through Slicer's interaction style, as those of a real mouse do.

    Positions are pixels from the lower left corner (``OffscreenSliceView.pixelOf``).
    """

    def __init__(self, view: OffscreenSliceView) -> None:
        self.interactor = view.interactor
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(view.logic)
        self.style.SetDisplayableManagers(view.managers)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.interactor)
        self.interactor.Initialize()
        self.interactor.Enable()
        self.position = (1.0, 1.0)
        self.send("EnterEvent", self.position)

    def send(self, event: str, position, control: bool = False, shift: bool = False, key: str | None = None) -> None:
        """One event by its VTK name, at a position."""
        self.position = (float(position[0]), float(position[1]))
        x, y = (round(v) for v in self.position)
        self.interactor.SetEventInformation(x, y, int(control), int(shift), chr(0), 0, key)
        getattr(self.interactor, event)()

    def move(self, position) -> None:
        """Moves to a position without a button; what lies there becomes active, as below a real pointer."""
        x, y = position
        self.send("MouseMoveEvent", (x - 1, y))
        self.send("MouseMoveEvent", (x, y))

    def press(self, position) -> None:
        """Moves there and presses the left button."""
        self.move(position)
        self.send("LeftButtonPressEvent", position)

    def pull(self, by, steps: int = 10) -> None:
        """Moves with the button held, in equal steps."""
        (x, y), (dx, dy) = self.position, by
        for step in range(1, steps + 1):
            self.send("MouseMoveEvent", (x + dx * step / steps, y + dy * step / steps))

    def release(self) -> None:
        """Lets the left button go."""
        self.send("LeftButtonReleaseEvent", self.position)

    def drag(self, start, by, steps: int = 10) -> None:
        """Press at ``start``, move by ``(dx, dy)``, release."""
        self.press(start)
        self.pull(by, steps)
        self.release()

    def wheel(self, position, clicks: int) -> None:
        """Turns the wheel; positive is forward."""
        for _ in range(abs(clicks)):
            self.send("MouseWheelForwardEvent" if clicks > 0 else "MouseWheelBackwardEvent", position)


class VTKMessages:
    """Collects VTK's warnings and errors while it is open, instead of letting them scroll by.

    ``list`` holds them; a test that provokes one clears it.
    """

    def __init__(self) -> None:
        self.list: list[str] = []
        self._window = None
        self._tags: list[int] = []

    def _collect(self, caller, event, text) -> None:
        self.list.append(text.strip())

    def open(self) -> VTKMessages:
        """Starts collecting."""
        callback = vtk.calldata_type(vtk.VTK_STRING)(lambda *arguments: self._collect(*arguments))
        self._window = vtk.vtkOutputWindow.GetInstance()
        self._tags = [self._window.AddObserver(event, callback) for event in ("WarningEvent", "ErrorEvent")]
        return self

    def close(self) -> None:
        """Stops collecting."""
        for tag in self._tags:
            self._window.RemoveObserver(tag)
        self._tags = []


@contextmanager
def savedAndLoaded(application: MinimalApplication, folder):
    """The application's scene saved as ``.mrb`` in ``folder`` and loaded into a new application, the current one then.

    At the end of the block ``application`` is the current one again.
    """
    bundle, unpacked = Path(folder) / "scene.mrb", Path(folder) / "unpacked"
    if not application.scene.WriteToMRB(str(bundle)):
        raise OSError(f"{bundle} was not written")
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(unpacked)
    (description,) = unpacked.rglob("*.mrml")
    try:
        with MinimalApplication() as loaded:
            loaded.scene.SetURL(str(description))
            if not loaded.scene.Import():
                raise OSError(f"{description} was not read")
            yield loaded
    finally:
        application.makeCurrent()


def savePicture(picture: np.ndarray, path) -> None:
    """Writes a uint8 RGB picture (height, width, 3) as PNG."""
    rows = np.ascontiguousarray(picture[::-1])
    image = vtk.vtkImageData()
    image.SetDimensions(picture.shape[1], picture.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(rows.reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputData(image)
    writer.Write()
