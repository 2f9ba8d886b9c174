"""What the incremental engine promises: the network's own answer, whatever a patch changes and wherever it lies."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from small_bundles import s_net_bundle
from SScILDScoringLib.devices import threads
from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.heatmaps import render_heat_maps
from SScILDScoringLib.heatmaps.calibration import calibrated_halo
from SScILDScoringLib.heatmaps.engines import Work
from SScILDScoringLib.heatmaps.incremental import Change, IncrementalNetwork, Plan
from SScILDScoringLib.heatmaps.incremental.blocks import UNSEEN, WideBlockKernel
from SScILDScoringLib.heatmaps.incremental.crew import in_crew
from SScILDScoringLib.heatmaps.incremental.route import Span
from SScILDScoringLib.heatmaps.incremental.ways import BY_INDEX, ONE_BY_ONE, compiled_ways
from SScILDScoringLib.heatmaps.incremental.windows import KeptMap, Place, Window
from SScILDScoringLib.heatmaps.incremental_maps import Cut, Positions
from SScILDScoringLib.heatmaps.precision import (
    choose_precision,
    computes_bf16,
    has_bf16_matrix_unit,
    multiplies_bf16,
)
from SScILDScoringLib.heatmaps.replacement import HeatMapSettings, replacement_texture
from SScILDScoringLib.heatmaps.reporting import Reporter
from SScILDScoringLib.heatmaps.sums import MapSums
from SScILDScoringLib.models import ModelBundle
from SScILDScoringLib.networks import build_s_net
from SScILDScoringLib.networks.layout import WideBlock
from SScILDScoringLib.progress import silent
from SScILDScoringLib.slice_network import SliceNetwork

STARTER = Path(__file__).parents[2] / "Resources/Models/s_net_starter"
CPU = torch.device("cpu")
WAYS = {"one by one": ONE_BY_ONE, "by index": BY_INDEX, "compiled": compiled_ways()}
every_way = pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS)
needs_bf16 = pytest.mark.skipif(not computes_bf16(), reason="this processor is below AVX-512: oneDNN refuses bf16")
SMALL = {"widths": (8, 8, 16, 16), "blocks": (1, 1, 1, 1)}


@pytest.fixture(autouse=True)
def one_thread():
    with threads(1):
        yield


def network_with_random_weights(name, **options):
    """Weights with which every part of the network matters: layer scale 1, norms that do something."""
    torch.manual_seed(3)
    network = build_s_net(name, **options).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
            if isinstance(module, torch.nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
        last = [m for m in network.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))][-1]
        last.weight.mul_(20)
    return network.requires_grad_(False)


def changes_everywhere(size, seed=1):
    """Windows of all kinds: single pixels, corners, borders, the middle, nearly the whole slice."""
    rng = np.random.default_rng(seed)
    places = [(0, 1, 0, 1), (size - 1, size, size - 1, size), (0, size // 3, size // 2, size), (1, size - 1, 2, size)]
    for _ in range(5):
        h, w = rng.integers(1, size // 2, 2)
        y, x = rng.integers(0, size - h + 1), rng.integers(0, size - w + 1)
        places.append((y, y + h, x, x + w))
    return [
        Change(slice(t, b), slice(left, r), rng.random((b - t, r - left)).astype(np.float32))
        for t, b, left, r in places
    ]


def true_answers(network, image, changes):
    """The network run on whole images, in double precision: ``(1 + n, 3)``, the untouched one first."""
    images = np.repeat(image[None], 1 + len(changes), axis=0)
    for n, change in enumerate(changes, start=1):
        images[n, change.rows, change.columns] = change.values
    parameters = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.inference_mode():
        answers = network.double()(torch.from_numpy(images).double()[:, None]).numpy()
    network.float().load_state_dict(parameters)
    return answers


def own_rounding(network, image, changes, wanted):
    """How far the network's own answers in float32 are from ``wanted``, as differences from the untouched slice."""
    images = np.repeat(image[None], 1 + len(changes), axis=0)
    for n, change in enumerate(changes, start=1):
        images[n, change.rows, change.columns] = change.values
    with torch.inference_mode():
        answers = np.concatenate([network(torch.from_numpy(one)[None, None]).double().numpy() for one in images])
    return np.abs(answers[1:] - answers[0] - (wanted[1:] - wanted[0])).max()


NETWORKS = [
    ("convnext_atto", {"layer_scale": 1.0}, 96),
    ("convnext_atto", {"layer_scale": 1.0}, 90),
    ("compact_ratio", {**SMALL, "head_width": 16}, 64),
    ("compact_ratio", {**SMALL, "head_width": 16, "stem_stride": 4}, 75),
    ("compact_pool", SMALL, 70),
    ("vgg11_bn", {"hidden": 8}, 70),
    ("resnet18", {}, 75),
    ("resnet50", {}, 64),
]


@functools.cache
def known(number):
    """One of :data:`NETWORKS`, a slice, changes of it, the true answers, and how far float32 is from these."""
    name, options, size = NETWORKS[number]
    network = network_with_random_weights(name, **options)
    image = np.random.default_rng(0).random((size, size)).astype(np.float32)
    changes = changes_everywhere(size)
    wanted = true_answers(network, image, changes)
    return network, image, changes, wanted, own_rounding(network, image, changes, wanted)


@pytest.mark.parametrize("number", range(len(NETWORKS)), ids=[f"{name}-{size}" for name, _, size in NETWORKS])
@every_way
def test_changed_windows_are_answered_as_the_network_answers_the_whole_slice(number, ways):
    # What float32 makes of whole slices, too, is no error of ours; it depends on the processor.
    network, image, changes, wanted, rounding = known(number)
    kept = IncrementalNetwork(network, "fp32", CPU, ways).keep(image)
    plan = Plan(kept, changes)
    assert np.allclose(kept.baseline, wanted[0], rtol=1e-4, atol=1e-5)
    everything = range(len(changes))
    alone = kept.answers([kept.ends(plan, [n]) for n in everything])
    together = kept.answers([kept.ends(plan, everything)])
    change = wanted[1:] - wanted[0]
    allowed = 1e-4 * np.abs(change).max() + 3 * rounding
    assert np.abs(change).max() > 100 * rounding
    assert np.abs(alone - kept.baseline - change).max() < allowed
    assert np.abs(together - kept.baseline - change).max() < allowed


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
@pytest.mark.parametrize("number", [0, 1], ids=["96", "90"])
def test_where_no_row_is_left_out_as_on_a_gpu_the_answers_are_the_networks_too(number, precision, monkeypatch):
    monkeypatch.setattr(IncrementalNetwork, "skips", False)
    network, image, changes, wanted, rounding = known(number)
    kept = IncrementalNetwork(network, "fp32", CPU, BY_INDEX).keep(image)
    if precision != "fp32":
        kept = kept.answered_by(IncrementalNetwork(network, precision, CPU, BY_INDEX))
    found = kept.answers([kept.ends(Plan(kept, changes), range(len(changes)))]) - kept.baseline
    change = wanted[1:] - wanted[0]
    allowed = {"fp32": 1e-4, "bf16": 0.05}[precision]
    assert np.abs(found - change).max() < allowed * np.abs(change).max() + 3 * rounding


@needs_bf16
@every_way
def test_in_bf16_every_way_gives_the_same(ways):
    network = network_with_random_weights("convnext_atto", layer_scale=0.3)
    image = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    changes = changes_everywhere(96)
    kept = IncrementalNetwork(network, "fp32", CPU, ONE_BY_ONE).keep(image)
    exact, plain, found = (
        kept.answered_by(IncrementalNetwork(network, precision, CPU, way))
        for precision, way in (("fp32", ONE_BY_ONE), ("bf16", ONE_BY_ONE), ("bf16", ways))
    )
    exact, plain, found = (
        one.answers([one.ends(Plan(one, changes), range(len(changes)))]) - one.baseline for one in (exact, plain, found)
    )
    largest = np.abs(exact).max()
    assert np.abs(found - plain).max() < 0.005 * largest
    assert 0 < np.abs(found - exact).max() < 0.05 * largest


def test_passes_round_to_bfloat16_as_pytorch_does():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal(10**5).astype(np.float32)).view(1, 10, 10, -1)
    values[0, 0, 0, :8] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, 1e-40])
    place = Place(Span(np.array([3]), 10), Span(np.array([4]), 10))
    rounded = WAYS["compiled"].moved(values, place, place, torch.bfloat16)
    assert torch.equal(rounded.view(torch.int16), values.bfloat16().view(torch.int16))


def test_a_window_may_become_the_answer_but_only_where_nobody_else_reads_it():
    network = network_with_random_weights("convnext_atto", layer_scale=0.3)
    image = np.random.default_rng(0).random((96, 96)).astype(np.float32)
    number, layer = next((n, y) for n, y in enumerate(network.layers()) if isinstance(y, WideBlock))
    for ways in WAYS.values():
        engine = IncrementalNetwork(network, "fp32", CPU, ways)
        kept = engine.keep(image)._layers[number]
        place = Place(*[Span(np.array([2]), 12)] * 2)
        answers = []
        for reuse in (False, True):
            torch.manual_seed(1)
            window = Window(torch.randn(1, 12, 12, layer.depthwise.in_channels), place, ways.moved)
            before = window.change.clone()
            with torch.inference_mode():
                changed, _ = engine.kernels[number].change(kept, window, place, 0.0, reuse)
            answers.append(changed)
            assert torch.equal(window.change, before) is not reuse
        assert torch.allclose(*answers)


BROKEN = {
    "no numba": "import sys; sys.modules['numba'] = None",
    "no compiler": "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'",
    "wrong rows": "from SScILDScoringLib.heatmaps.incremental import passes; passes.seen_rows = lambda *given: (3, 60)",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_without_a_numba_that_works_pytorchs_operators_do_it(broken):
    code = f"{broken}\nimport torch\nfrom SScILDScoringLib.heatmaps.incremental.ways import *\n"
    code += "print(compiled_ways() is None, ways_for(torch.device('cpu'), lambda: None) is ONE_BY_ONE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_without_packed_operators_the_answers_are_the_same(monkeypatch):
    """As on a computer whose PyTorch has no oneDNN, and as on a GPU."""
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental.operators.can_pack", lambda device: False)
    for name, options, size in (NETWORKS[0], NETWORKS[2]):
        network = network_with_random_weights(name, **options)
        image = np.random.default_rng(0).random((size, size)).astype(np.float32)
        changes = changes_everywhere(size)
        wanted = true_answers(network, image, changes)
        kept = IncrementalNetwork(network, "fp32", CPU, BY_INDEX).keep(image)
        found = kept.answers([kept.ends(Plan(kept, changes), range(len(changes)))]) - kept.baseline
        change = wanted[1:] - wanted[0]
        assert np.abs(found - change).max() < 1e-4 * np.abs(change).max() + 2e-6 * np.abs(wanted).max()


def test_a_halo_that_reaches_everything_leaves_nothing_out_and_a_small_one_does():
    network = network_with_random_weights("convnext_atto", layer_scale=1.0)
    image = np.random.default_rng(0).random((160, 160)).astype(np.float32)
    changes = [Change(slice(60, 92), slice(70, 101), np.ones((32, 31), np.float32))]
    kept = IncrementalNetwork(network, "fp32", CPU).keep(image)
    exact, wide, narrow = (kept.answers([kept.ends(Plan(kept, changes, h), [0])]) for h in (None, [40] * 4, [1] * 4))
    assert np.allclose(exact, wide, rtol=0, atol=1e-5)
    assert np.abs(narrow - exact).max() > 10 * np.abs(wide - exact).max() + 1e-4


def rows_computed(monkeypatch):
    """Collects how many rows go through the products of wide blocks."""
    rows, made = [], WideBlockKernel.made
    monkeypatch.setattr(
        WideBlockKernel, "made", lambda self, x, hidden: (rows.append(len(x)), made(self, x, hidden))[1]
    )
    return rows


PATCHES = [Change(slice(y, y + 40), slice(x, x + 30), np.ones((40, 30), np.float32)) for y, x in ((9, 20), (90, 99))]


def test_in_float32_rows_that_rounding_hides_are_left_out_and_the_answers_are_the_networks_own(monkeypatch):
    rows = rows_computed(monkeypatch)
    network = network_with_random_weights("convnext_atto", layer_scale=0.3)
    image = np.random.default_rng(0).random((256, 256)).astype(np.float32)
    wanted = true_answers(network, image, PATCHES)
    kept = IncrementalNetwork(network, "fp32", CPU).keep(image)
    computed, errors = [], []
    for unseen in (-1.0, None):
        rows.clear()
        found = kept.answers([kept.ends(Plan(kept, PATCHES, unseen=unseen), [0, 1])]) - kept.baseline
        errors.append(np.abs(found - (wanted[1:] - wanted[0])).max())
        computed.append(sum(rows))
    assert computed[1] < 0.9 * computed[0]
    assert errors[1] < 3 * max(errors[0], own_rounding(network, image, PATCHES, wanted))


@needs_bf16
def test_in_bf16_rows_that_rounding_hides_are_left_out_and_the_answers_are_as_good(monkeypatch):
    network = network_with_random_weights("convnext_atto", layer_scale=0.3)
    rows, changes = rows_computed(monkeypatch), PATCHES
    errors, computed = np.zeros((2, 6)), [0, 0]
    for seed in range(6):
        image = np.random.default_rng(seed).random((256, 256)).astype(np.float32)
        wanted = true_answers(network, image, changes)
        change = wanted[1:] - wanted[0]
        kept = IncrementalNetwork(network, "bf16", CPU).keep(image)
        for n, unseen in enumerate((0.0, UNSEEN[torch.bfloat16])):
            rows.clear()
            found = kept.answers([kept.ends(Plan(kept, changes, unseen=unseen), [0, 1])]) - kept.baseline
            errors[n, seed] = np.abs(found - change).max() / np.abs(change).max()
            computed[n] += sum(rows)
    assert computed[1] < 0.8 * computed[0]
    # Random weights hardly answer to anything, so that rounding shows, and differently on every processor.
    without, with_them_left_out = errors.mean(axis=1)
    assert with_them_left_out < max(1.5 * without, 0.01)


@every_way
def test_windows_are_moved_with_zeros_around_them(ways):
    rng = np.random.default_rng(4)
    change = torch.from_numpy(rng.standard_normal((3, 4, 5, 2)).astype(np.float32))
    own = Place(Span(np.array([0, 3, 6]), 4), Span(np.array([2, 5, 0]), 5))
    window = Window(change, own, ways.moved)
    whole = torch.zeros(3, 30, 30, 2)  # maps of 10 x 10 with 10 cells around them
    for n in range(3):
        y, x = 10 + own.rows.starts[n], 10 + own.columns.starts[n]
        whole[n, y : y + 4, x : x + 5] = change[n]
    for rows, columns, height, width in (
        ([-2, 1, 4], [0, 3, -2], 8, 9),
        ([1, 4, 7], [2, 6, 3], 2, 3),
        ([9] * 3, [8] * 3, 4, 6),
    ):
        place = Place(Span(np.array(rows), height), Span(np.array(columns), width))
        wanted = torch.stack(
            [
                whole[n, 10 + y : 10 + y + height, 10 + x : 10 + x + width]
                for n, (y, x) in enumerate(zip(rows, columns, strict=True))
            ]
        )
        assert torch.equal(window.at(place), wanted)
        part, padding = window.around(place, torch.float32, 6)
        assert torch.equal(F.pad(part, (0, 0, *[padding] * 4)), wanted)
    grown = Place(Span(own.rows.starts - 2, 8), Span(own.columns.starts - 2, 9))
    assert window.around(grown, torch.float32, 2)[1] == 2  # nothing is copied
    assert window.around(grown, torch.float32, 1)[1] == 0
    assert (window.at(own) == change).all()
    assert window.at(own).data_ptr() != change.data_ptr()


def test_cells_of_windows_are_numbered_row_by_row():
    place = Place(Span(np.array([1, 0]), 2), Span(np.array([3, 2]), 2))
    assert place.cells(10, CPU).tolist() == [13, 14, 23, 24, 2, 3, 12, 13]
    values = torch.arange(100.0).view(10, 10, 1)
    assert KeptMap(values).at(place).flatten().tolist() == [13, 14, 23, 24, 2, 3, 12, 13]
    assert KeptMap(values).padded(1).at(place.shifted(1)).flatten().tolist() == [13, 14, 23, 24, 2, 3, 12, 13]


# ---- maps --------------------------------------------------------------------------------------------------------


def drawn_slice(size=96, seed=5):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    lung = ((y - 0.5) / 0.38) ** 2 + ((np.abs(x - 0.5) - 0.22) / 0.17) ** 2 < 1
    ill = lung & (((y - 0.6) / 0.2) ** 2 + ((x - 0.3) / 0.12) ** 2 < 1)
    hu = np.where(lung, -850 + 60 * rng.standard_normal((size, size)), 40 + 20 * rng.standard_normal((size, size)))
    return np.where(ill, hu + 350, hu).astype(np.int16), lung


@pytest.fixture(scope="module")
def starter():
    return SliceNetwork(ModelBundle.load(STARTER))


@pytest.fixture(scope="module")
def convnext(tmp_path_factory):
    return SliceNetwork(s_net_bundle(tmp_path_factory.mktemp("b") / "c", "convnext_atto", size=96, layer_scale=0.2))


@pytest.mark.parametrize(
    ("size", "settings"),
    [(128, HeatMapSettings(64, 32)), (101, HeatMapSettings(37, 23, "ramp", 5))],
    ids=["published patch", "odd sizes"],
)
def test_trained_weights_give_the_maps_of_the_reference(starter, size, settings):
    hu, lung = drawn_slice(size)
    wanted = render_heat_maps(hu, lung, starter, settings, engine="reference")
    found = render_heat_maps(hu, lung, starter, settings, engine="incremental", precision="fp32")
    assert np.abs(wanted.maps).max() > 0.5
    assert np.abs(found.maps - wanted.maps).max() < 1e-4 * np.abs(wanted.maps).max()


@needs_bf16
def test_bf16_says_how_far_it_is_from_float32(convnext):
    hu, lung = drawn_slice()
    settings = HeatMapSettings(30, 12)
    exact = render_heat_maps(hu, lung, convnext, settings, precision="fp32")
    quick = render_heat_maps(hu, lung, convnext, settings, precision="bf16")
    assert (quick.precision, quick.exact) == ("bf16", True)
    assert quick.checked_positions == 3
    assert 0 < quick.tolerance < 0.3  # random weights hardly answer to anything, so that rounding shows
    assert np.abs(quick.maps - exact.maps).max() < 0.3 * np.abs(exact.maps).max()


@needs_bf16
def test_where_bf16_is_too_coarse_float32_does_the_work(convnext, monkeypatch):
    monkeypatch.setattr("SScILDScoringLib.heatmaps.precision.multiplies_bf16", lambda: True)
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental_maps.LIMIT", 1e-9)
    hu, lung = drawn_slice()
    maps = render_heat_maps(hu, lung, convnext, HeatMapSettings(30, 24))
    assert (maps.precision, maps.tolerance, maps.checked_positions) == ("fp32", None, 0)
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental_maps.LIMIT", 1e9)
    assert render_heat_maps(hu, lung, convnext, HeatMapSettings(30, 24)).precision == "bf16"


def chosen_with(limit: str) -> str:
    """The arithmetic that a new process chooses whose oneDNN may go as far as ``limit``."""
    code = "from SScILDScoringLib.heatmaps.precision import *; import torch\n"
    code += "print(choose_precision('auto', torch.device('cpu')))"
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": limit}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_bf16_is_chosen_only_where_the_processor_multiplies_it_and_may():
    has = torch.cpu.get_capabilities()
    vector, matrix = bool(has.get("avx512_bf16", False)), bool(has.get("amx_bf16", False))
    assert chosen_with("AVX512_CORE") == "fp32"
    assert chosen_with("AVX512_CORE_BF16") == ("bf16" if vector else "fp32")
    assert chosen_with("AVX512_CORE_AMX") == ("bf16" if vector or matrix else "fp32")
    if "ONEDNN_MAX_CPU_ISA" not in os.environ and torch.backends.mkldnn.is_available():
        assert multiplies_bf16() == (vector or matrix)
        assert has_bf16_matrix_unit() == matrix
    with pytest.raises(SettingsError, match="GPU"):
        choose_precision("fp16", CPU)


def test_bf16_that_the_processor_cannot_compute_is_refused_in_words(monkeypatch):
    monkeypatch.setattr("SScILDScoringLib.heatmaps.precision.computes_bf16", lambda: True)
    assert choose_precision("bf16", CPU) == "bf16"
    monkeypatch.setattr("SScILDScoringLib.heatmaps.precision.computes_bf16", lambda: False)
    with pytest.raises(SettingsError, match="choose auto or fp32"):
        choose_precision("bf16", CPU)


# ---- previews ----------------------------------------------------------------------------------------------------


def test_a_preview_is_close_and_says_how_close(starter):
    hu, lung = drawn_slice(160)
    settings = HeatMapSettings(32, 16)
    exact = render_heat_maps(hu, lung, starter, settings, precision="fp32")
    preview = render_heat_maps(hu, lung, starter, settings, engine="preview", precision="fp32")
    assert (preview.engine, preview.exact, preview.checked_positions) == ("preview", False, 8)
    assert preview.tolerance < 0.05
    assert np.abs(preview.maps - exact.maps).max() < 0.02 * np.abs(exact.maps).max()
    assert (preview.covered == exact.covered).all()


def test_a_halo_that_is_too_narrow_is_widened(starter, monkeypatch):
    """A bundle that promises too much does not get its way: the eight exact positions show it."""
    hu, lung = drawn_slice(160)
    settings = HeatMapSettings(32, 16)
    exact = render_heat_maps(hu, lung, starter, settings, precision="fp32")
    monkeypatch.setattr(
        ModelBundle, "heat_maps", property(lambda self: {**self.metadata.heat_maps, "preview_halo": [0, 0, 0, 0]})
    )
    guarded = render_heat_maps(hu, lung, starter, settings, engine="preview", precision="fp32")
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental_maps.PREVIEW_LIMIT", 1e9)
    unguarded = render_heat_maps(hu, lung, starter, settings, engine="preview", precision="fp32")
    largest = np.abs(exact.maps).max()
    assert np.abs(guarded.maps - exact.maps).max() < 0.02 * largest
    assert np.abs(unguarded.maps - exact.maps).max() > 0.02 * largest
    assert unguarded.tolerance > 0.02


def test_what_a_preview_leaves_out_becomes_less_with_every_attempt():
    cut = Cut((0, 3, 9), 2.0**-6)
    assert cut.less() == Cut((1, 4, 13), 2.0**-6 / 1.5)
    assert Cut((2,)).less() == Cut((3,))


def test_previews_leave_out_more_rows_than_rounding_hides(convnext, monkeypatch):
    hu, lung = drawn_slice()
    settings = HeatMapSettings(30, 12)
    rows = rows_computed(monkeypatch)
    exact = render_heat_maps(hu, lung, convnext, settings, precision="fp32")
    computed = sum(rows)
    rows.clear()
    monkeypatch.setattr(ModelBundle, "heat_maps", property(lambda self: {"preview_halo": [20, 20, 20, 20]}))
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental_maps.PREVIEW_LIMIT", 0.2)
    preview = render_heat_maps(hu, lung, convnext, settings, engine="preview", precision="fp32")
    assert not preview.exact
    assert sum(rows) < 0.9 * computed
    assert 0 < np.abs(preview.maps - exact.maps).max() < 0.3 * np.abs(exact.maps).max()


def test_the_first_positions_go_from_the_densest_place_to_those_that_hardly_change(starter):
    hu, lung = drawn_slice(160)
    settings = HeatMapSettings(32, 16)
    texture = replacement_texture(settings, starter.bundle)
    positions = Positions(Work(hu, starter, settings, texture, MapSums(lung), Reporter(silent)))
    chosen = positions.telling(8)
    assert len(set(chosen)) == 8
    change = np.abs(positions.all_changes(range(len(positions)), "fp32")).max(1)
    assert change[chosen[0]] > 0.8 * change.max()
    assert change[chosen[0]] > 2 * change[chosen[4]] > 0
    assert sorted(positions.telling(10**6)) == list(range(len(positions)))
    assert positions.telling(0) == []


def test_where_no_halo_suffices_the_preview_is_exact(starter, monkeypatch):
    monkeypatch.setattr("SScILDScoringLib.heatmaps.incremental_maps.PREVIEW_LIMIT", -1.0)
    hu, lung = drawn_slice(96)
    settings = HeatMapSettings(32, 24)
    exact = render_heat_maps(hu, lung, starter, settings, precision="fp32")
    preview = render_heat_maps(hu, lung, starter, settings, engine="preview", precision="fp32")
    assert preview.exact
    assert np.abs(preview.maps - exact.maps).max() < 1e-4 * np.abs(exact.maps).max()


def test_a_bundle_with_an_unusable_halo_is_refused(starter, monkeypatch):
    for wrong in ([], [-1, 2], "3333", [1.5]):
        monkeypatch.setattr(ModelBundle, "heat_maps", property(lambda self, wrong=wrong: {"preview_halo": wrong}))
        with pytest.raises(ModelError, match="preview_halo"):
            render_heat_maps(*drawn_slice(64), starter, HeatMapSettings(32, 32), engine="preview")


def test_calibration_finds_a_halo_with_which_previews_pass(convnext, monkeypatch):
    hu, lung = drawn_slice()
    settings = HeatMapSettings(24, 16)
    strict = calibrated_halo(convnext, [(hu, lung)], settings, tolerance=0.005)
    loose = calibrated_halo(convnext, [(hu, lung)], settings, tolerance=0.5)
    assert len(strict) == len(loose) == 4
    assert sum(loose) < sum(strict)
    monkeypatch.setattr(ModelBundle, "heat_maps", property(lambda self: {"preview_halo": strict}))
    preview = render_heat_maps(hu, lung, convnext, settings, engine="preview", precision="fp32")
    assert not preview.exact
    with pytest.raises(SettingsError, match="at least one slice"):
        calibrated_halo(convnext, [(hu, np.zeros_like(lung))], settings)


# ---- the crew ----------------------------------------------------------------------------------------------------


def test_the_crew_does_every_task_once_and_hands_errors_over():
    found = dict(in_crew(range(20), lambda task, check: task * task, 3, lambda: None))
    assert found == {n: n * n for n in range(20)}

    def fails(task, check):
        if task == 3:
            raise ModelError("three")
        return task

    with pytest.raises(ModelError, match="three"):
        list(in_crew(range(20), fails, 2, lambda: None))


def test_the_crew_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    list(in_crew(range(4), lambda task, check: torch.get_num_threads(), 2, lambda: None))
    assert torch.get_num_threads() == before
