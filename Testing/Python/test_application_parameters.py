"""The parameter node wrapper of the stand-ins keeps, refuses and shows values as Slicer's own does.

Run with ``SLICER_PYTHON_SOURCE=<folder of Slicer's Base/Python/slicer>`` the same tests describe Slicer's own.
"""

from __future__ import annotations

import enum
import gc
import pathlib
import weakref
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

pytest_plugins = ["panel_fixtures"]


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


@pytest.fixture
def wrap(slicerApplication):
    """``wrap(name=type, ...)`` makes settings on a fresh node of the scene; a (type, value) pair has a default."""
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    def make(node=None, **members):
        body = {"__annotations__": {n: m[0] if isinstance(m, tuple) else m for n, m in members.items()}}
        body |= {name: member[1] for name, member in members.items() if isinstance(member, tuple)}
        wrapper = parameterNodeWrapper(type("Settings", (), body))
        return wrapper(node or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))

    return make


@pytest.fixture
def p(slicerApplication):
    """``slicer.parameterNodeWrapper``."""
    import slicer.parameterNodeWrapper

    return slicer.parameterNodeWrapper


class TestDefaults:
    def test_every_type_has_one(self, wrap):
        import slicer

        s = wrap(
            i=int,
            f=float,
            b=bool,
            t=str,
            p=pathlib.Path,
            e=Size,
            n=slicer.vtkMRMLModelNode,
            o=int | None,
            u=int | str,
            values=list[float],
            table=dict[str, int],
        )
        assert (s.i, s.f, s.b, s.t, s.p, s.e, s.n, s.o, s.u) == (
            0,
            0.0,
            False,
            "",
            pathlib.Path(),
            Size.SMALL,
            None,
            None,
            0,
        )
        assert list(s.values) == []
        assert dict(s.table) == {}

    def test_they_can_be_given(self, wrap, p):
        s = wrap(
            a=(int, 4), b=Annotated[int, p.Default(5)], c=Annotated[list[int], p.Default(generator=lambda: [1, 2])]
        )
        assert (s.a, s.b, list(s.c)) == (4, 5, [1, 2])
        assert s.default("a").value == 4

    def test_they_do_not_replace_what_the_node_has(self, wrap):
        first = wrap(a=(int, 4))
        first.a = 9
        assert wrap(node=first.parameterNode, a=(int, 7)).a == 9

    def test_a_default_that_is_refused_is_an_error(self, wrap, p):
        with pytest.raises(ValueError, match="3"):
            wrap(a=(Annotated[int, p.Minimum(3)], 1))


class TestStorage:
    def test_values_are_text_in_the_node(self, wrap):
        s = wrap(i=int, f=float, b=bool, t=str, e=Size, p=pathlib.Path)
        s.i, s.f, s.b, s.t, s.e, s.p = 3, 2.5, True, "x y", Size.LARGE, pathlib.Path("/a b/c")
        node = s.parameterNode
        stored = {name: node.GetParameter(name) for name in node.GetParameterNames()}
        assert stored == {"i": "3", "f": "2.5", "b": "True", "t": "x y", "e": "LARGE", "p": "/a b/c"}

    def test_containers_have_one_text_for_each_element(self, wrap):
        s = wrap(values=list[int], pair=tuple[int, str], table=dict[str, float], choice=int | None)
        s.values, s.pair, s.table, s.choice = [5, 6], (1, "a"), {"k": 0.5}, 8
        node = s.parameterNode
        stored = {name: node.GetParameter(name) for name in node.GetParameterNames()}
        assert stored == {
            "values.0": "5",
            "values.1": "6",
            "values.len": "2",
            "pair.0": "1",
            "pair.1": "a",
            "table.0.0": "k",
            "table.0.1": "0.5",
            "table.len": "1",
            "choice.0": "8",
        }
        s.values, s.choice = [], None
        assert not node.HasParameter("values.0")
        assert node.GetParameter("values.len") == "0"
        assert not node.HasParameter("choice.0")

    def test_nodes_are_references(self, wrap):
        import slicer

        s = wrap(n=slicer.vtkMRMLModelNode, o=slicer.vtkMRMLModelNode | None)
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
        s.n = s.o = model
        assert s.parameterNode.GetNodeReferenceID("n") == model.GetID()
        assert s.parameterNode.GetNodeReferenceID("o.0") == model.GetID()
        assert s.n is model
        assert s.o is model
        s.o = None
        assert s.o is None
        slicer.mrmlScene.RemoveNode(model)
        assert s.n is None

    def test_what_is_written_to_the_node_directly_is_seen(self, wrap):
        s = wrap(i=int)
        s.parameterNode.SetParameter("i", "12")
        assert s.i == 12

    def test_containers_write_their_changes(self, wrap):
        s = wrap(values=list[int], table=dict[str, int])
        s.values.append(3)
        s.values += [1, 2]
        s.values.sort()
        s.values[0] = 7
        del s.values[1]
        s.table["a"] = 1
        s.table["b"] = 2
        s.table.pop("a")
        assert list(s.values) == [7, 3]
        assert s.parameterNode.GetParameter("values.0") == "7"
        assert dict(s.table) == {"b": 2}

    def test_a_refused_element_changes_nothing(self, wrap):
        s = wrap(values=(list[int], [1, 2]))
        with pytest.raises(TypeError):
            s.values.append("three")
        with pytest.raises(TypeError):
            s.values = [4, "x"]
        assert list(s.values) == [1, 2]
        assert s.parameterNode.GetParameter("values.len") == "2"

    def test_an_unknown_name_of_an_enumeration_is_an_error(self, wrap):
        from standins import errors

        s = wrap(e=Size)
        node = s.parameterNode
        wrap(node=node, e=str).e = "HUGE"
        with pytest.raises(ValueError, match="HUGE"):
            wrap(node=node, e=Size)
        assert "HUGE" in str(errors.take()[0]), "the first wrapper noticed it in an observer"

    def test_the_wrapper_does_not_live_as_long_as_its_node(self, wrap):
        s = wrap(i=int)
        node, seen = s.parameterNode, weakref.ref(s)
        del s
        gc.collect()
        assert seen() is None
        node.SetParameter("i", "5")


class TestRefusals:
    def test_numbers_of_numpy(self, wrap):
        s = wrap(f=float, i=int, b=bool)
        s.f = np.float64(0.5)
        assert s.f == 0.5
        for name, value in (("f", np.float32(0.5)), ("i", np.int64(3)), ("b", np.bool_(True)), ("i", 2.0), ("f", "1")):
            with pytest.raises(TypeError):
                setattr(s, name, value)
        s.f = 3
        assert (s.f, type(s.f)) == (3.0, float)

    def test_none(self, wrap):
        s = wrap(f=float, t=str, p=pathlib.Path, e=Size)
        for name in ("f", "t", "p"):
            with pytest.raises(ValueError, match="None"):
                setattr(s, name, None)
        with pytest.raises(AttributeError):
            s.e = None

    def test_other_classes_of_nodes(self, wrap):
        import slicer

        s = wrap(n=slicer.vtkMRMLModelNode)
        with pytest.raises(TypeError):
            s.n = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")

    def test_validators(self, wrap, p):
        s = wrap(
            w=Annotated[float, p.WithinRange(0, 1)],
            low=Annotated[int, p.Minimum(2), p.Default(2)],
            high=Annotated[int, p.Maximum(5)],
            c=Annotated[str, p.Choice(["a", "b"]), p.Default("a")],
            x=Annotated[str, p.Exclude(["bad"])],
        )
        for name, good, bad in (("w", 1, 1.01), ("low", 3, 1), ("high", 5, 6), ("c", "b", "z"), ("x", "fine", "bad")):
            setattr(s, name, good)
            with pytest.raises(ValueError, match=str(bad)):
                setattr(s, name, bad)
            assert getattr(s, name) == good, "the old value stays"

    def test_types_that_cannot_be_kept_and_names_that_are_taken(self, wrap):
        with pytest.raises(Exception, match=r"serializer|cannot be of type"):
            wrap(a=complex)
        for name in ("default", "connectGui", "Modified"):
            with pytest.raises(ValueError, match="name"):
                wrap(**{name: int})

    def test_an_unknown_attribute_is_not_noticed_as_in_slicer(self, wrap):
        s = wrap(threshold=float)
        s.treshold = 5
        assert s.threshold == 0
        with pytest.raises(ValueError, match="treshold"):
            s.setValue("treshold", 5)


class TestEvents:
    def test_a_change_is_told_once_and_no_change_not_at_all(self, wrap):
        import vtk

        s, told = wrap(i=int, t=str), []
        s.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *unused: told.append(s.i))
        s.i = 3
        s.i = 3
        assert told == [3], "the new value is there already when it is told"

    def test_packs_keep_several_values(self, wrap, p):
        members = {"width": Annotated[float, p.WithinRange(0, 10)], "name": str}
        Box = p.parameterPack(type("Box", (), {"__annotations__": members, "width": 2}))
        s = wrap(box=Box)
        assert s.box.width == 2
        s.box.width = 3
        assert s.parameterNode.GetParameter("box.width") in ("3", "3.0")
        assert s.getValue("box.width") == 3
        s.setValue("box.name", "lid")
        assert s.box.name == "lid"
        with pytest.raises(ValueError, match="11"):
            s.box.width = 11


class TestWidgets:
    """Which widget shows which type."""

    @pytest.fixture
    def connect(self, wrap):
        """``connect(widget, type)``: settings with one parameter ``x`` that the widget shows."""

        def make(widget, kind):
            settings = wrap(x=kind)
            settings.connectParametersToGui({"x": widget})
            return settings

        return make

    def test_numbers(self, connect, p):
        import ctk
        import qt
        import slicer

        integer = Annotated[int, p.WithinRange(1, 9), p.Default(2)]
        real = Annotated[float, p.WithinRange(-1, 1), p.Decimals(3), p.SingleStep(0.25)]
        for widget in (qt.QSpinBox(), qt.QSlider(), qt.QDoubleSpinBox(), ctk.ctkSliderWidget(), ctk.ctkDoubleSpinBox()):
            settings = connect(widget, integer)
            assert (widget.minimum, widget.maximum, widget.value) == (1, 9, 2)
            widget.value = 5
            assert (settings.x, type(settings.x)) == (5, int)
        for widget in (
            qt.QDoubleSpinBox(),
            ctk.ctkSliderWidget(),
            ctk.ctkDoubleSlider(),
            slicer.qMRMLSliderWidget(),
            slicer.qMRMLSpinBox(),
        ):
            settings = connect(widget, real)
            assert widget.singleStep == 0.25
            widget.value = 0.625
            assert settings.x == 0.625
            settings.x = -0.5
            assert widget.value == -0.5

    def test_a_slider_needs_limits_a_spin_box_does_not(self, connect, p):
        import ctk
        import qt

        for widget in (ctk.ctkSliderWidget(), qt.QSlider()):
            with pytest.raises(RuntimeError, match=r"unbounded|WithinRange"):
                connect(widget, int)
        box = qt.QDoubleSpinBox()
        settings = connect(box, float)
        settings.x = 123456.5
        assert box.value == 123456.5

    def test_texts_paths_and_switches(self, connect):
        import ctk
        import qt

        for widget, read in ((qt.QLineEdit(), lambda w: w.text), (qt.QTextEdit(), lambda w: w.toPlainText())):
            settings = connect(widget, str)
            widget.setText("typed")
            assert settings.x == "typed"
            settings.x = "set"
            assert read(widget) == "set"
        label = qt.QLabel()
        connect(label, str).x = "shown"
        assert label.text == "shown"
        path = ctk.ctkPathLineEdit()
        settings = connect(path, pathlib.Path)
        path.currentPath = "/tmp/x"
        assert settings.x == pathlib.Path("/tmp/x")
        folder = ctk.ctkDirectoryButton()
        settings = connect(folder, pathlib.Path)
        settings.x = pathlib.Path("/data")
        assert folder.directory == "/data"
        for switch in (qt.QCheckBox(), ctk.ctkCheckBox(), qt.QPushButton(), ctk.ctkCheckablePushButton()):
            settings = connect(switch, bool)
            switch.click()
            assert settings.x
            settings.x = False
            assert not switch.checked

    def test_choices(self, connect, p):
        import ctk
        import qt

        for combo in (qt.QComboBox(), ctk.ctkComboBox()):
            combo.addItem("left over from the .ui file")
            settings = connect(combo, Annotated[str, p.Choice(["one", "two"]), p.Default("two")])
            assert (combo.count, combo.currentText) == (2, "two")
            combo.currentIndex = 0
            assert settings.x == "one"
            settings = connect(combo, Size)
            combo.currentIndex = 1
            assert settings.x is Size.LARGE
        with pytest.raises(RuntimeError, match="Choice"):
            connect(qt.QComboBox(), str)

    def test_ranges(self, connect, p):
        import ctk

        widget = ctk.ctkRangeWidget()
        settings = connect(widget, Annotated[p.FloatRange, p.RangeBounds(-5, 5), p.Default(p.FloatRange(-1, 1))])
        assert (widget.minimumValue, widget.maximumValue, widget.minimum, widget.maximum) == (-1, 1, -5, 5)
        widget.setValues(2, 3)
        assert (settings.x.minimum, settings.x.maximum) == (2, 3)
        settings.x = p.FloatRange(0, 4)
        assert (widget.minimumValue, widget.maximumValue) == (0, 4)
        with pytest.raises(ValueError, match="-9"):
            settings.x = p.FloatRange(-9, 0)
        with pytest.raises(ValueError, match="2"):
            p.FloatRange(2, 1)

    def test_nodes_of_one_or_more_classes(self, connect):
        import slicer

        kind = slicer.vtkMRMLSegmentationNode | slicer.vtkMRMLLabelMapVolumeNode | None
        for annotated, types in (
            (slicer.vtkMRMLModelNode, ["vtkMRMLModelNode"]),
            (kind, ["vtkMRMLSegmentationNode", "vtkMRMLLabelMapVolumeNode"]),
        ):
            selector = slicer.qMRMLNodeComboBox()
            selector.noneEnabled = True
            selector.setMRMLScene(slicer.mrmlScene)
            settings = connect(selector, annotated)
            assert list(selector.nodeTypes) == types
            node = slicer.mrmlScene.AddNewNodeByClass(types[-1])
            settings.x = node
            assert selector.currentNode() is node
            selector.setCurrentNode(None)
            assert settings.x is None

    def test_colours(self, connect):
        import ctk
        import qt

        button = ctk.ctkColorPickerButton()
        settings = connect(button, qt.QColor)
        button.color = qt.QColor(255, 0, 0)
        assert settings.x == qt.QColor(255, 0, 0)
        assert settings.parameterNode.GetParameter("x") == "#ffff0000"

    def test_a_widget_that_cannot_show_the_type_is_an_error(self, connect):
        import qt

        for widget, kind in ((qt.QLineEdit(), int), (qt.QSpinBox(), float), (qt.QCheckBox(), str)):
            with pytest.raises(RuntimeError):
                connect(widget, kind)

    def test_names_come_from_the_property_of_the_widget(self, wrap):
        import qt

        settings = wrap(a=int, b=int)
        top = qt.QWidget()
        box, other = qt.QSpinBox(top), qt.QSpinBox(top)
        box.setProperty("SlicerParameterName", "a")
        tag = settings.connectGui(top)
        settings.a = 6
        assert (box.value, other.value) == (6, 0)
        settings.disconnectGui(tag)
        settings.a = 7
        box.value = 8
        assert (box.value, settings.a) == (8, 7)
        other.setProperty("SlicerParameterName", "c")
        with pytest.raises(ValueError, match="c"):
            settings.connectGui(SimpleNamespace(box=box, other=other))

    def test_a_refused_value_from_a_widget_is_kept_as_an_error(self, wrap, p):
        import qt
        from standins import errors

        settings = wrap(x=Annotated[str, p.Exclude(["bad"])])
        edit = qt.QLineEdit()
        settings.connectParametersToGui({"x": edit})
        edit.text = "bad"
        assert [type(error) for error in errors.take()] == [ValueError]
        assert settings.x == ""
