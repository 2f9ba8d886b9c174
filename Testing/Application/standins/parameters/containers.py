"""Lists, tuples, dicts and unions of parameters: several texts under ``name.0``, ``name.1``, ``name.len``."""

from __future__ import annotations

import collections.abc

import slicer

from standins.parameters.stores import NodeStore, NoneStore, Store


class _Observed:
    """A container that writes its changes to the node and then holds what the node has, also when it refused them."""

    def __init__(self, values, save, readAgain):
        self._held, self._saveToNode, self._readAgain = values, save, readAgain

    def _save(self):
        try:
            self._saveToNode(self._held)
        finally:
            self._held = self._readAgain()._held

    def __len__(self):
        return len(self._held)

    def __getitem__(self, key):
        return self._held[key]

    def __setitem__(self, key, value):
        self._held[key] = value
        self._save()

    def __delitem__(self, key):
        del self._held[key]
        self._save()

    def __eq__(self, other):
        return self._held == (other._held if isinstance(other, _Observed) else other)

    __hash__ = None

    def __repr__(self):
        return f"{type(self).__name__}({self._held})"


class ObservedList(_Observed, collections.abc.MutableSequence):
    """A list whose changes reach the node."""

    def insert(self, index, value):
        """As list.insert."""
        self._held.insert(index, value)
        self._save()

    def sort(self, **how):
        """As list.sort."""
        self._held.sort(**how)
        self._save()


class ObservedDict(_Observed, collections.abc.MutableMapping):
    """A dict whose changes reach the node."""

    def __iter__(self):
        return iter(self._held)


class ListStore(Store):
    """list[T]: ``name.0``, ``name.1``, ... and ``name.len``."""

    fits = (list, ObservedList)

    def __init__(self, element):
        self.element, self.default, self.cacheable = element, list, element.cacheable

    def _length(self, node, name):
        return int(node.GetParameter(f"{name}.len")) if self.isIn(node, name) else 0

    def isIn(self, node, name):
        """An empty list is a value too."""
        return bool(node.HasParameter(f"{name}.len"))

    def write(self, node, name, values):
        """All or nothing: when one element is refused, the old list stays."""
        values = list(values)
        with slicer.util.NodeModify(node):
            before, had = list(self._elements(node, name)), self.isIn(node, name)
            try:
                self._replace(node, name, values)
            except Exception:
                self._replace(node, name, before)
                if not had:
                    self.remove(node, name)
                raise

    def _replace(self, node, name, values):
        for index, value in enumerate(values):
            self.element.write(node, f"{name}.{index}", value)
        for index in range(len(values), self._length(node, name)):
            self.element.remove(node, f"{name}.{index}")
        node.SetParameter(f"{name}.len", str(len(values)))

    def _elements(self, node, name):
        return (self.element.read(node, f"{name}.{index}") for index in range(self._length(node, name)))

    def read(self, node, name):
        """A list that writes its changes."""
        held = list(self._elements(node, name))
        return ObservedList(held, lambda values: self.write(node, name, values), lambda: self.read(node, name))

    def remove(self, node, name):
        """Elements and length."""
        for index in range(self._length(node, name)):
            self.element.remove(node, f"{name}.{index}")
        node.UnsetParameter(f"{name}.len")


class TupleStore(Store):
    """tuple[A, B, ...]: ``name.0``, ``name.1``."""

    fits = (tuple,)

    def __init__(self, elements):
        self.elements, self.cacheable = elements, all(element.cacheable for element in elements)

    def default(self):
        """The defaults of the elements."""
        return tuple(element.default() for element in self.elements)

    def isIn(self, node, name):
        """Whether the first element is there."""
        return self.elements[0].isIn(node, f"{name}.0")

    def write(self, node, name, values):
        """ValueError for another length."""
        values = tuple(values)
        if len(values) != len(self.elements):
            raise ValueError(f"{len(self.elements)} values are wanted, not {len(values)}")
        with slicer.util.NodeModify(node):
            for index, (element, value) in enumerate(zip(self.elements, values, strict=True)):
                element.write(node, f"{name}.{index}", value)

    def read(self, node, name):
        """The tuple."""
        return tuple(element.read(node, f"{name}.{index}") for index, element in enumerate(self.elements))

    def remove(self, node, name):
        """Every element."""
        for index, element in enumerate(self.elements):
            element.remove(node, f"{name}.{index}")


class DictStore(Store):
    """dict[K, V], as a list of pairs."""

    fits = (dict, ObservedDict)

    def __init__(self, key, value):
        self.pairs, self.default = ListStore(TupleStore([key, value])), dict
        self.isIn, self.remove, self.cacheable = self.pairs.isIn, self.pairs.remove, self.pairs.cacheable

    def write(self, node, name, values):
        """Order is kept."""
        self.pairs.write(node, name, values.items())

    def read(self, node, name):
        """A dict that writes its changes."""
        held = dict(self.pairs._elements(node, name))
        return ObservedDict(held, lambda values: self.write(node, name, values), lambda: self.read(node, name))


class UnionStore(Store):
    """One of several types: the value lies under ``name.<index of the type>``."""

    def __init__(self, stores):
        self.stores, self.cacheable = stores, all(store.cacheable for store in stores)

    def default(self):
        """None for Optional, else the first type's."""
        optional = len(self.stores) == 2 and isinstance(self.stores[1].store, NoneStore)
        return None if optional else self.stores[0].default()

    def isIn(self, node, name):
        """Under any of its types."""
        return any(store.isIn(node, f"{name}.{index}") for index, store in enumerate(self.stores))

    def write(self, node, name, value):
        """To the first type that takes it; TypeError when none does."""
        refused = TypeError(f"{value!r} fits none of the types")
        for chosen, store in enumerate(self.stores):
            if not (
                type(value) in store.fits
                or (isinstance(value, slicer.vtkMRMLNode) and isinstance(store.store, NodeStore))
            ):
                continue
            try:
                store.check(value)
            except (TypeError, ValueError) as error:
                refused = error
                continue
            with slicer.util.NodeModify(node):
                self.remove(node, name)
                store.write(node, f"{name}.{chosen}", value)
            return
        raise refused

    def read(self, node, name):
        """Whichever is there."""
        for index, store in enumerate(self.stores):
            if store.isIn(node, f"{name}.{index}"):
                return store.read(node, f"{name}.{index}")
        raise KeyError(f"{name} has no value")

    def remove(self, node, name):
        """All of them."""
        for index, store in enumerate(self.stores):
            store.remove(node, f"{name}.{index}")
