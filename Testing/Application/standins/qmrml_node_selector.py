"""qMRMLNodeComboBox: chooses a node of the scene."""

from __future__ import annotations

from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from standins.dialogs import dialogs
from standins.observing import observe


def _option(name: str, kind):
    def write(self, value):
        self._options[name] = list(value) if kind == "QStringList" else value
        self._fill()

    return Property(kind, lambda self: self._options[name], write)


class qMRMLNodeComboBox(QWidget):
    """A combo box with the nodes of the given classes, kept up to date with the scene.

    Disabled until it has a scene. Without a None entry the first node that appears is chosen by itself, and when the
    chosen one leaves the scene another takes its place.
    """

    standsForCpp = True
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    currentNodeRenamed = Signal(str)

    def __init__(self, *arguments):
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._options = {
            "nodeTypes": [],
            "hideChildNodeTypes": [],
            "showHidden": False,
            "showChildNodeTypes": True,
            "noneEnabled": False,
            "noneDisplay": "None",
            "addEnabled": True,
            "removeEnabled": True,
            "editEnabled": False,
            "renameEnabled": False,
            "selectNodeUponCreation": True,
            "baseName": "",
            "interactionNodeSingletonTag": "",
        }
        self._attributes = {}
        self._scene, self._tags, self._nodes, self._current, self._actions = None, [], [], None, []
        self._wanted, self._followed = None, set()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._combo = QComboBox()
        self._combo.setSizeAdjustPolicy(QComboBox.AdjustToMinimumContentsLengthWithIcon)
        row.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._combo.currentIndexChanged.connect(self._indexChanged)
        self._combo.activated.connect(lambda *unused: self.nodeActivated.emit(self.currentNode()))
        self.setEnabled(False)

    nodeTypes = _option("nodeTypes", "QStringList")
    hideChildNodeTypes = _option("hideChildNodeTypes", "QStringList")
    showHidden = _option("showHidden", bool)
    showChildNodeTypes = _option("showChildNodeTypes", bool)
    noneEnabled = _option("noneEnabled", bool)
    noneDisplay = _option("noneDisplay", str)
    addEnabled = _option("addEnabled", bool)
    removeEnabled = _option("removeEnabled", bool)
    editEnabled = _option("editEnabled", bool)
    renameEnabled = _option("renameEnabled", bool)
    selectNodeUponCreation = _option("selectNodeUponCreation", bool)
    baseName = _option("baseName", str)
    interactionNodeSingletonTag = _option("interactionNodeSingletonTag", str)
    currentNodeID = Property(
        str,
        lambda self: self._current.GetID() if self._current else "",
        lambda self, nodeID: self.setCurrentNodeID(nodeID),
    )

    # ------------------------------------------------------------------ the scene
    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene):
        """Follow another scene."""
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags.clear()
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent)
            self._tags += [observe(self, scene, event, "_sceneChanged") for event in events]
        wanted, self._wanted = self._wanted, None
        self._fill(wanted)
        self.setEnabled(scene is not None)

    def _sceneChanged(self, scene, event):
        if event != "NodeAddedEvent" or not scene.IsBatchProcessing():
            before = set(self._nodes)
            self._fill()
            for node in self._nodes:
                if node is not None and node not in before:
                    self.nodeAdded.emit(node)

    def _shows(self, node) -> bool:
        if node.GetHideFromEditors() and not self._options["showHidden"]:
            return False
        exact = node.GetClassName() in self._options["nodeTypes"]
        if not exact and not self._options["showChildNodeTypes"]:
            return False
        if not exact and any(node.IsA(name) for name in self._options["hideChildNodeTypes"]):
            return False
        for (nodeType, name), value in self._attributes.items():
            if node.IsA(nodeType) and (node.GetAttribute(name) is None or value not in (None, node.GetAttribute(name))):
                return False
        return any(node.IsA(name) for name in self._options["nodeTypes"])

    def _fill(self, wanted=None):
        if self._scene is None:
            self._nodes = []
        else:
            scene = self._scene
            everything = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
            self._nodes = [node for node in everything if self._shows(node)]
        hadNodes = self._combo.count > self._offset()
        current = wanted if wanted is not None else self._current
        self._combo.blockSignals(True)
        self._combo.clear()
        if self._options["noneEnabled"]:
            self._combo.addItem(self._options["noneDisplay"])
        for node in self._nodes:
            self._combo.addItem(node.GetName())
            if node.GetID() not in self._followed:  # its name may change
                self._followed.add(node.GetID())
                observe(self, node, "ModifiedEvent", "_renamed")
        index = self._nodes.index(current) if current in self._nodes else None
        if index is None and not self._options["noneEnabled"] and self._nodes and (current or not hadNodes):
            index = len(self._nodes) - 1 if current else 0
        self._combo.setCurrentIndex(index + self._offset() if index is not None else self._offset() - 1)
        self._combo.blockSignals(False)
        self._indexChanged()

    def _renamed(self, node, event):
        if node in self._nodes:
            self._combo.setItemText(self._nodes.index(node) + self._offset(), node.GetName())

    def _offset(self) -> int:
        return int(self._options["noneEnabled"])

    def _indexChanged(self, *unused):
        index = self._combo.currentIndex - self._offset()
        node = self._nodes[index] if 0 <= index < len(self._nodes) else None
        if node is not self._current:
            self._current = node
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    # ------------------------------------------------------------------ choosing
    def currentNode(self):
        """The chosen node, or None."""
        return self._current

    def setCurrentNode(self, node):
        """Choose; a node that is not shown counts as None. Before a scene is set the wish is kept."""
        if self._scene is None:
            self._wanted = node
            return
        index = self._nodes.index(node) if node in self._nodes else -1
        self._combo.setCurrentIndex(index + self._offset())

    def setCurrentNodeID(self, nodeID):
        """Choose by ID."""
        self.setCurrentNode(self._scene.GetNodeByID(nodeID) if self._scene and nodeID else None)

    def setCurrentNodeIndex(self, index):
        """Choose by position, None not counted."""
        self._combo.setCurrentIndex(index + self._offset() if index < len(self._nodes) else self._offset() - 1)

    def nodeCount(self) -> int:
        """How many nodes there are to choose from."""
        return len(self._nodes)

    def nodeFromIndex(self, index):
        """The node at a position, or None."""
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    # ------------------------------------------------------------------ what its menu offers
    def addNode(self, nodeType=None):
        """Make a node of the class (the first one by default), as the menu's "Create new" does."""
        nodeType = nodeType or self._options["nodeTypes"][0]
        if nodeType not in self._options["nodeTypes"]:
            return None
        node = self._scene.CreateNodeByClass(nodeType)
        node.UnRegister(None)
        for (kind, name), value in self._attributes.items():
            if kind == nodeType:
                node.SetAttribute(name, value or "")
        base = self._options["baseName"] or node.GetNodeTagName()
        node.SetName(self._scene.GenerateUniqueName(base))
        node = self._scene.AddNode(node)
        if self._options["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self):
        """Take the chosen node out of the scene."""
        self.nodeAboutToBeRemoved.emit(self._current)
        self._scene.RemoveNode(self._current)

    def renameCurrentNode(self):
        """Ask for a name."""
        name = dialogs.ask("text", f"Rename {self._current.GetName()}")
        if name:
            self._current.SetName(name)
            self._fill()
            self.currentNodeRenamed.emit(name)

    def editCurrentNode(self):
        """Tell that the node is to be edited elsewhere."""
        self.nodeAboutToBeEdited.emit(self._current)

    def addAttribute(self, nodeType, attributeName, attributeValue=None):
        """Show only nodes of the class that have the attribute (with that value)."""
        self._attributes[nodeType, attributeName] = attributeValue
        self._fill()

    def removeAttribute(self, nodeType, attributeName):
        """Undo :meth:`addAttribute`."""
        self._attributes.pop((nodeType, attributeName), None)
        self._fill()

    def addMenuAction(self, action):
        """An entry of the module's own at the end of the menu."""
        self._actions.append(action)

    def setNodeTypeLabel(self, label, nodeType):
        """The word for the class in the menu."""
