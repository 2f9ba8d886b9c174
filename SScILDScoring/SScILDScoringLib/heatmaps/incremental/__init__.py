"""Exact incremental inference: of every layer only the window that a patch changes is computed again.

The maps of the untouched slice are kept. For a patch, every layer gets the changed window with as much of the kept
map around it as it looks at; the window grows from layer to layer, and where it fills the map the map is computed.
On a CPU, cells of wide blocks whose values change by no more than rounding moves them keep what they had: that leaves
half of ConvNeXt-Tiny's products out in fp32 and most of them in bf16. In fp32 the answer stays the network's own, up to
rounding. In bf16 it is an approximation of the size of bf16's own, no identity; like that one it is part of the
difference from fp32 that is measured on a few positions of every map.

    route.py         which cells change, layer by layer, and which cells must be read for them
    windows.py       what changes in a map, and what lies under and around it
    operators.py     products, norms and convolutions with their weights packed
    convolutions.py  convolutions and pooling on windows
    blocks.py        wide blocks on windows
    rows.py          which of their rows change, and what becomes of them
    ways.py          how the steps between products are done: by PyTorch's operators or in compiled passes
    compiled.py      the latter, around
    passes.py        what numba compiles
    network.py       a network's kernels; made once
    kept.py          what every layer said of one slice, and the answers to changed windows of it
    crew.py          positions shared out among threads
"""

from __future__ import annotations

from .kept import Change, KeptSlice, Plan
from .network import IncrementalNetwork, describes_itself

__all__ = ["Change", "IncrementalNetwork", "KeptSlice", "Plan", "describes_itself"]
