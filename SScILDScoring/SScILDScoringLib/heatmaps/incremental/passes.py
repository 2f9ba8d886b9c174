"""Single passes over the rows of windows, compiled by numba for the processor at hand: what takes PyTorch several
operators, each of which reads and writes the whole window once.

Values are float32, or bfloat16 as the bits of it (uint16), which numpy has no type for. What a pass writes has the type
of its last array. Windows are ``(n, h, w, c)`` with the map's cells that they begin at, ``tops (n,)`` and ``lefts
(n,)``; kept maps are rows ``(side * side, c)``.

numba is not required; :mod:`.compiled` says what is done without it.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.core.errors import NumbaError  # noqa: F401  for who catches it
from numba.extending import intrinsic

if config.DISABLE_JIT:
    raise ImportError("numba's compiler is switched off (NUMBA_DISABLE_JIT)")

PASSES = ("moved", "seen_rows", "add_rows", "sum_rows", "rectified", "normed_patches")
"""What others call."""

WORD, HALF_WORD = ir.IntType(32), ir.IntType(16)


def compiled(function):
    """``function`` compiled; kept for other processes where there is a folder for that."""
    # Sums may be taken in any order, as on vectors. Numbers that are none must stay what they are.
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could be written to
        return njit(**options)(function)


@intrinsic
def value_of(context, stored):
    """The number that stands in an array."""
    if stored == types.float32:
        return types.float32(stored), lambda context, builder, signature, arguments: arguments[0]

    def make(context, builder, signature, arguments):
        bits = builder.shl(builder.zext(arguments[0], WORD), WORD(16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.uint16), make


@intrinsic
def stored_as(context, value, like):
    """A number as it is put into an array that holds ``like``; to bfloat16 it is rounded to even."""
    if like == types.float32:
        return types.float32(types.float32, like), lambda context, builder, signature, arguments: arguments[0]

    def make(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], WORD)
        odd = builder.and_(builder.lshr(bits, WORD(16)), WORD(1))
        rounded = builder.add(builder.add(bits, WORD(0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, WORD(16)), HALF_WORD)

    return types.uint16(types.float32, types.uint16), make


@compiled
def moved(source, tops, lefts, new_tops, new_lefts, result):
    """Writes windows as they are at other places, zero outside the old ones."""
    n_windows, height, width, channels = result.shape
    like = result[0, 0, 0, 0]
    zero = stored_as(np.float32(0), like)
    for n in range(n_windows):
        for y in range(height):
            from_y = y + new_tops[n] - tops[n]
            for x in range(width):
                from_x = x + new_lefts[n] - lefts[n]
                if 0 <= from_y < source.shape[1] and 0 <= from_x < source.shape[2]:
                    for c in range(channels):
                        result[n, y, x, c] = stored_as(value_of(source[n, from_y, from_x, c]), like)
                else:
                    for c in range(channels):
                        result[n, y, x, c] = zero


@compiled
def normed(values, epsilon, result):
    """Writes ``values (c,)``, float32, with mean 0 and variance 1."""
    channels = len(values)
    like = result[0]
    mean = np.float32(0)
    for c in range(channels):
        mean += values[c]
    mean /= np.float32(channels)
    variance = np.float32(0)
    for c in range(channels):
        difference = values[c] - mean
        variance += difference * difference
    factor = np.float32(1) / np.sqrt(variance / np.float32(channels) + np.float32(epsilon))
    for c in range(channels):
        result[c] = stored_as((values[c] - mean) * factor, like)


@compiled
def seen_rows(change, tops, lefts, side, mixed, spread, unseen, epsilon, first, numbers, cells, ends, rows):
    """Finds rows of mixed windows that change by more than ``unseen`` times their spread, and writes them normed.

    Args:
        change: ``(n, h, w, c)``, of the mixed map.
        tops, lefts, side: where the windows lie, and cells of the map along an axis.
        mixed, spread: the kept map's rows and the spread of each.
        unseen: share of the spread; below 0 every row is seen.
        epsilon: of the norm.
        first: the row to begin with, counted through all windows.
        numbers, cells: int64 ``(m,)``, written: the rows found, and their cells of the map.
        ends: int64 ``(n, 4)``, made wider: of every window first row, last row + 1, first column, last column + 1.
        rows: ``(m, c)``, written: kept and changed, normed.

    Returns:
        How many were found, at most ``m``, and the row to go on with.
    """
    n_windows, height, width, channels = change.shape
    values = np.empty(channels, np.float32)
    count = 0
    for i in range(first, n_windows * height * width):
        n = i // (height * width)
        y = i // width - n * height
        x = i - (n * height + y) * width
        cell = (tops[n] + y) * side + lefts[n] + x
        square = np.float32(0)
        for c in range(channels):
            value = value_of(change[n, y, x, c])
            square += value * value
        if not np.sqrt(square) > np.float32(unseen) * spread[cell]:
            continue
        if count == len(numbers):
            return count, i
        for c in range(channels):
            values[c] = mixed[cell, c] + value_of(change[n, y, x, c])
        normed(values, epsilon, rows[count])
        numbers[count], cells[count] = i, cell
        count += 1
        ends[n, 0], ends[n, 1] = min(ends[n, 0], y), max(ends[n, 1], y + 1)
        ends[n, 2], ends[n, 3] = min(ends[n, 2], x), max(ends[n, 3], x + 1)
    return count, n_windows * height * width


@compiled
def add_rows(made, kept, numbers, cells, change):
    """Adds what rows ``made`` differ by from ``kept`` ones to rows of ``change (m, c)``, float32."""
    for j in range(len(numbers)):
        i, cell = numbers[j], cells[j]
        for c in range(change.shape[1]):
            change[i, c] += value_of(made[j, c]) - value_of(kept[cell, c])


@compiled
def sum_rows(made, kept, numbers, cells, cells_of_window, sums):
    """The same added up for every window, ``sums (n, c)``, float32."""
    for j in range(len(numbers)):
        n, cell = numbers[j] // cells_of_window, cells[j]
        for c in range(sums.shape[1]):
            sums[n, c] += value_of(made[j, c]) - value_of(kept[cell, c])


@compiled
def rectified(change, tops, lefts, side, before, result):
    """Writes by how much ``max(before + change, 0)`` differs from ``max(before, 0)``, float32."""
    n_windows, height, width, channels = result.shape
    zero = np.float32(0)
    for n in range(n_windows):
        for y in range(height):
            for x in range(width):
                cell = (tops[n] + y) * side + lefts[n] + x
                for c in range(channels):
                    value = before[cell, c]
                    result[n, y, x, c] = max(value + value_of(change[n, y, x, c]), zero) - max(value, zero)


@compiled
def normed_patches(change, tops, lefts, kept, kept_normed, side, epsilon, first_rows, first_columns, size, result):
    """Writes what the norm of a map changes by, in patches of ``size`` by ``size`` cells as a product takes them.

    Args:
        change: float32 windows ``(n, h, w, c)``.
        tops, lefts: where they lie.
        kept, kept_normed: the map's rows, and the same normed, float32.
        side: cells of the map along an axis.
        epsilon: of the norm.
        first_rows, first_columns: of every window the cells where its patches begin.
        size: cells of a patch along an axis.
        result: ``(n, patches along y, along x, size * size * c)``.
    """
    n_windows, height, width, channels = change.shape
    values = np.empty(channels, np.float32)
    new = np.empty(channels, np.float32)
    like = result[0, 0, 0, 0]
    for n in range(n_windows):
        for patch_y in range(result.shape[1]):
            for patch_x in range(result.shape[2]):
                for part in range(size * size):
                    map_y = first_rows[n] + patch_y * size + part // size
                    map_x = first_columns[n] + patch_x * size + part % size
                    y, x = map_y - tops[n], map_x - lefts[n]
                    differs = False
                    if 0 <= y < height and 0 <= x < width:
                        for c in range(channels):
                            differs |= change[n, y, x, c] != 0
                    start = part * channels
                    if not differs:
                        for c in range(channels):
                            result[n, patch_y, patch_x, start + c] = stored_as(np.float32(0), like)
                        continue
                    cell = map_y * side + map_x
                    for c in range(channels):
                        values[c] = kept[cell, c] + change[n, y, x, c]
                    normed(values, epsilon, new)
                    for c in range(channels):
                        difference = new[c] - kept_normed[cell, c]
                        result[n, patch_y, patch_x, start + c] = stored_as(difference, like)
