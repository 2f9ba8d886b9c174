"""Exact incremental inference: of every layer only the window that a patch changes is computed again.

The maps of the untouched slice are kept. For a patch, every layer gets the changed window with as much of the kept
map around it as it looks at; the window grows from layer to layer, and where it fills the map the map is computed.
Nothing is left out, so that the answer is the network's own, up to rounding. Nor is anything computed that rounding
hides: in bf16 on a CPU, cells of wide blocks whose normed values change by less than rounding moves them keep what
they had. That leaves most of the products of ConvNeXt-Tiny out and makes the answers more precise, not
less: two roundings of the same number no longer differ.

    route.py     which cells change, layer by layer, and which cells must be read for them
    kernels.py   the layers ready to run: affine parts folded, weights packed
    network.py   a network's kernels; made once
    blocks.py    wide blocks on windows, and which of their cells change
    kept.py      what every layer said of one slice, and the answers to changed windows of it
    reading.py   windows read out of kept maps
    crew.py      positions shared out among threads
"""

from __future__ import annotations

from .kept import Change, KeptSlice, Plan
from .network import IncrementalNetwork, describes_itself

__all__ = ["Change", "IncrementalNetwork", "KeptSlice", "Plan", "describes_itself"]
