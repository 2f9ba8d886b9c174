"""Exact incremental inference: of every layer only the window that a patch changes is computed again.

The maps of the untouched slice are kept. For a patch, every layer gets the changed window with as much of the kept
map around it as it looks at; the window grows from layer to layer, and where it fills the map the map is computed.
In fp32 nothing is left out, so that the answer is the network's own, up to rounding. In bf16 on a CPU, cells of wide
blocks whose normed values change by no more than rounding moves them keep what they had: that leaves most of
ConvNeXt-Tiny's products out. It is an approximation of the size of bf16's own, no identity; like that one it is part of
the difference from fp32 that is measured on a few positions of every map.

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
