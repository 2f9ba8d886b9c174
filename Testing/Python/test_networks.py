"""What the networks promise: published sizes, torchvision's files, outputs, maps, reach, and names."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.networks import L_NET_NAMES, S_NET_NAMES, build_l_net, build_network, build_s_net, names
from SScILDScoringLib.networks.compact_3d import expected_slice
from SScILDScoringLib.networks.imagenet import load_imagenet
from SScILDScoringLib.networks.layout import input_range, receptive_field, run_layers
from SScILDScoringLib.networks.ratio import LUNG_FLOOR, ratio_scores


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Many tiny steps are faster on one thread, above all while other work keeps the second core busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "options", "count"),
    [
        ("s_net", "vgg11_bn", {}, 35_968_643),  # reference implementation of the 2022 system
        ("s_net", "convnext_tiny", {}, 27_819_363),
        ("s_net", "compact_ratio", {}, 904_756),
        ("l_net", "vgg11_3d", {}, 30_243_301),
        ("l_net", "vgg11_3d", {"width": 64}, 283_520_773),
    ],
)
def test_parameter_counts(kind, name, options, count):
    with torch.device("meta"):
        assert parameters(build_network(kind, name, **options)) == count


def test_the_compact_networks_stay_small():
    assert parameters(build_l_net("compact_3d")) <= 4_000_000
    assert parameters(build_s_net("compact_pool")) <= 1_000_000


# ---- torchvision's ImageNet files ------------------------------------------------------------------------------------


def torchvision_convnext(blocks, widths) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a torchvision ConvNeXt file with 1000 classes, written down from its architecture."""
    shapes = {"features.0.0.weight": (widths[0], 3, 4, 4), "features.0.0.bias": (widths[0],)}
    shapes |= {"features.0.1.weight": (widths[0],), "features.0.1.bias": (widths[0],)}
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage:
            narrow, prefix = widths[stage - 1], f"features.{2 * stage}"
            shapes |= {f"{prefix}.0.weight": (narrow,), f"{prefix}.0.bias": (narrow,)}
            shapes |= {f"{prefix}.1.weight": (width, narrow, 2, 2), f"{prefix}.1.bias": (width,)}
        for block in range(count):
            prefix = f"features.{2 * stage + 1}.{block}"
            shapes[f"{prefix}.layer_scale"] = (width, 1, 1)
            for number, shape in (
                (0, (width, 1, 7, 7)),
                (2, (width,)),
                (3, (4 * width, width)),
                (5, (width, 4 * width)),
            ):
                shapes[f"{prefix}.block.{number}.weight"] = shape
                shapes[f"{prefix}.block.{number}.bias"] = shape[:1]
    last = widths[-1]
    shapes |= {"classifier.0.weight": (last,), "classifier.0.bias": (last,)}
    return shapes | {"classifier.2.weight": (1000, last), "classifier.2.bias": (1000,)}


def torchvision_vgg_bn(layout: str) -> dict[str, tuple[int, ...]]:
    """The same for VGG with BatchNorm, ``layout`` as published: ``64 M 128 M ...``; no counts of batches."""
    shapes, position, channels = {}, 0, 3
    for item in layout.split():
        if item == "M":
            position += 1
            continue
        width = int(item)
        shapes |= {f"features.{position}.weight": (width, channels, 3, 3), f"features.{position}.bias": (width,)}
        for key in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"features.{position + 1}.{key}"] = (width,)
        position, channels = position + 3, width
    for number, shape in ((0, (4096, 25088)), (3, (4096, 4096)), (6, (1000, 4096))):
        shapes |= {f"classifier.{number}.weight": shape, f"classifier.{number}.bias": shape[:1]}
    return shapes


VGG11 = "64 M 128 M 256 256 M 512 512 M 512 512 M"
VGG16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"
VGG19 = "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M"
OFFICIAL = {  # name: (names and shapes, parameters that torchvision states for its file)
    "convnext_tiny": (torchvision_convnext((3, 3, 9, 3), (96, 192, 384, 768)), 28_589_128),
    "convnext_small": (torchvision_convnext((3, 3, 27, 3), (96, 192, 384, 768)), 50_223_688),
    "convnext_base": (torchvision_convnext((3, 3, 27, 3), (128, 256, 512, 1024)), 88_591_464),
    "vgg11_bn": (torchvision_vgg_bn(VGG11), 132_868_840),
    "vgg16_bn": (torchvision_vgg_bn(VGG16), 138_365_992),
    "vgg19_bn": (torchvision_vgg_bn(VGG19), 143_678_248),
}


def encoder_weights(name: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    weights = {}
    for key, shape in OFFICIAL[name][0].items():
        # The file's classifier is ignored; one number stands for its 120 million.
        weights[key] = torch.rand(shape if key.startswith("features") else (1,), generator=generator) * 0.1
    return weights


@pytest.mark.parametrize("name", OFFICIAL)
def test_encoders_have_torchvisions_names_and_shapes(name):
    shapes, stated = OFFICIAL[name]
    trained = {key: shape for key, shape in shapes.items() if "running" not in key}
    assert sum(torch.Size(shape).numel() for shape in trained.values()) == stated  # the list above is the real one
    with torch.device("meta"):
        state = build_s_net(name).state_dict()
    own = {k: tuple(v.shape) for k, v in state.items() if k.startswith("features") and "num_batches" not in k}
    expected = {key: shape for key, shape in shapes.items() if key.startswith("features")}
    stem = "features.0.0.weight" if name.startswith("convnext") else "features.0.weight"
    expected[stem] = (expected[stem][0], 1, *expected[stem][2:])
    assert own == expected


@pytest.mark.parametrize(
    ("name", "suffix"), [("convnext_tiny", ".pth"), ("vgg11_bn", ".pth"), ("vgg11_bn", ".safetensors")]
)
def test_an_imagenet_file_loads_into_the_encoder(name, suffix, tmp_path):
    weights = encoder_weights(name)
    path = tmp_path / f"official{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    network = build_s_net(name).eval()
    head = {k: v.clone() for k, v in network.state_dict().items() if k.startswith("classifier")}
    load_imagenet(network, path)
    state = network.state_dict()
    for key, value in weights.items():
        if key.startswith("features") and value.ndim != 4:
            assert torch.equal(state[key], value), key
    assert all(torch.equal(state[k], v) for k, v in head.items())  # the random head stays
    # A grey image in three channels through the original stem is what the one-channel stem gives.
    stem = network.features[0][0] if name.startswith("convnext") else network.features[0]
    key = "features.0.0" if name.startswith("convnext") else "features.0"
    grey = torch.rand(1, 1, 32, 32)
    original = torch.nn.functional.conv2d(
        grey.expand(1, 3, 32, 32), weights[f"{key}.weight"], weights[f"{key}.bias"], stem.stride, stem.padding
    )
    torch.testing.assert_close(stem(grey), original)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("features.4.weight"), "lacks features.4.weight"),
        (lambda w: w.update({"features.99.weight": torch.zeros(1)}), "no parameter features.99.weight"),
        (lambda w: w.update({"features.4.weight": torch.zeros(128, 64, 5, 5)}), "features.4.weight has the shape"),
        (lambda w: w.update({"features.0.weight": torch.zeros(64, 4, 3, 3)}), "features.0.weight has the shape"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_names_the_key(change, words, tmp_path):
    weights = encoder_weights("vgg11_bn")
    change(weights)
    torch.save(weights, tmp_path / "file.pth")
    network = build_s_net("vgg11_bn", hidden=8)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(ModelError, match=words):
        load_imagenet(network, tmp_path / "file.pth")
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


class Trap:
    """Would run code when unpickled."""

    def __reduce__(self):
        return (print, ("code from a weight file was run",))


@pytest.mark.parametrize("name", ["absent.pth", "rubbish.pth", "rubbish.safetensors", "trap.pth", "number.pth"])
def test_a_file_that_is_no_table_of_weights_is_refused(name, tmp_path, capsys):
    if name.startswith("rubbish"):
        (tmp_path / name).write_bytes(b"no weights at all" * 10)
    elif name == "trap.pth":
        torch.save({"features.0.weight": Trap()}, tmp_path / name)
    elif name == "number.pth":
        torch.save(7, tmp_path / name)
    with pytest.raises(ModelError):
        load_imagenet(build_s_net("vgg11_bn", hidden=8), tmp_path / name)
    assert "was run" not in capsys.readouterr().out


@pytest.mark.parametrize("network", [build_s_net("compact_ratio"), build_l_net("compact_3d")], ids=lambda n: n.name)
def test_networks_without_imagenet_weights_say_so(network, tmp_path):
    with pytest.raises(ModelError, match=f"no torchvision ImageNet weights for the network {network.name}"):
        load_imagenet(network, tmp_path / "any.pth")


# ---- names and options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", S_NET_NAMES)
def test_every_s_net_scores_a_slice_and_can_be_built_again(name):
    with torch.device("meta"):  # shapes without arithmetic: the large ones would take seconds to initialise
        network = build_s_net(name).eval()
        again = build_s_net(network.name, **network.options)
        assert network(torch.rand(1, 1, 64, 64)).shape == (1, 3)
    assert network.name == name
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in network.state_dict().items()}
    assert again.options == network.options


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_monai_networks_score_a_slice_and_start_without_bias(name):
    network = build_s_net(name).eval()
    with torch.inference_mode():
        assert torch.isfinite(network(torch.rand(1, 1, 64, 64))).all()
    assert not [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1].bias.any()


@pytest.mark.parametrize("name", L_NET_NAMES)
def test_every_l_net_answers_with_five_slice_numbers(name):
    options = {"width": 2, "hidden": 16} if name.startswith("vgg") else {}
    network = build_l_net(name, **options).eval()
    with torch.inference_mode():
        assert network(torch.randn(2, 1, 64, 64, 64)).shape == (2, 5)
    assert build_l_net(name, **network.options).options == network.options


def test_wrong_names_and_options_are_answered_with_the_valid_ones():
    with pytest.raises(SettingsError, match=r"no S-Net called 'convnext'.*convnext_tiny.*compact_ratio"):
        build_s_net("convnext")
    with pytest.raises(SettingsError, match=r"no L-Net called 'vgg11_bn'.*vgg11_3d"):
        build_l_net("vgg11_bn")
    with pytest.raises(SettingsError, match=r"no option 'stride'.*stem_stride \(default 2\).*widths.*|widths"):
        build_s_net("compact_ratio", stride=4)
    with pytest.raises(SettingsError, match="hidden of vgg11_bn is a whole number above 0"):
        build_s_net("vgg11_bn", hidden=0)
    with pytest.raises(SettingsError, match="widths of compact_ratio is 4 whole numbers"):
        build_s_net("compact_ratio", widths=[8, 16])
    with pytest.raises(SettingsError, match="stem_stride is 2 or 4"):
        build_s_net("compact_ratio", stem_stride=3)
    with pytest.raises(SettingsError, match="dropout is a share"):
        build_l_net("vgg11_3d", dropout=1.5)
    with pytest.raises(SettingsError, match="kinds are l_net and s_net"):
        names("u_net")


def test_naming_the_networks_imports_neither_torch_nor_monai():
    code = (
        "import sys; from SScILDScoringLib.networks import names; names('s_net'); "
        "print({'torch', 'monai'} & set(sys.modules))"
    )
    folder = str(next(p for p in sys.path if p.endswith("SScILDScoring")))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True)
    assert run.stdout.strip() == "set()"


def test_without_monai_its_networks_are_refused_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)  # what Python itself does for "not importable"
    with pytest.raises(SettingsError, match="pip install monai"):
        build_s_net("resnet18")


@pytest.mark.parametrize("name", ["convnext_tiny", "vgg11_bn", "compact_pool"])
def test_regression_heads_start_without_bias(name):
    network = build_s_net(name)
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    assert last.out_features == 3
    assert not last.bias.any()


# ---- layers and reach ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["convnext_atto", "vgg11_bn", "compact_ratio", "compact_pool", "resnet18", "resnet50"])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "nhwc"])
def test_the_described_layers_and_the_head_are_the_network(name, memory_format):
    network = build_s_net(name, **({"hidden": 16} if name.startswith("vgg") else {})).eval()
    x = torch.rand(2, 1, 128, 128).to(memory_format=memory_format)
    layers = network.layers()
    with torch.inference_mode():
        features = run_layers(layers, x)[-1]
        torch.testing.assert_close(network.head(features), network(x))
        if hasattr(network, "head_of_mean"):
            torch.testing.assert_close(network.head_of_mean(features.mean((2, 3))), network(x))
        torch.testing.assert_close(network.to(memory_format=memory_format)(x), network(x), rtol=1e-4, atol=1e-4)
    named = dict(network.named_modules())
    for layer in layers:
        own = next(m for m in vars(layer).values() if isinstance(m, torch.nn.Module))
        assert named[layer.name] is own


@pytest.mark.parametrize(
    ("name", "options", "size", "cell", "expected"),
    [
        ("compact_ratio", {}, 256, 15, (162, 8)),
        ("compact_ratio", {"stem_stride": 4}, 512, 16, (324, 16)),
        ("compact_pool", {}, 256, 16, (146, 8)),
        ("vgg11_bn", {"hidden": 4}, 256, 4, (150, 32)),
    ],
)
def test_a_map_cell_sees_exactly_the_stated_pixels(name, options, size, cell, expected):
    network = build_s_net(name, **options).eval().double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing can cancel and no ReLU closes: what is connected shows
    layers = network.layers()
    assert receptive_field(layers) == expected
    first, last = input_range(layers, cell, cell)
    assert last - first + 1 == expected[0]

    def value(x):
        return run_layers(layers, x)[-1][0, :, cell, cell]

    x = torch.rand(1, 1, size, size, dtype=torch.double)
    with torch.inference_mode():
        before = value(x)
        for inside, outside in ((first, first - 1), (last, last + 1)):
            changed = x.clone()
            changed[0, 0, outside] += 1e6
            assert torch.equal(value(changed), before)
            changed = x.clone()
            changed[0, 0, inside] += 1e6
            assert not torch.allclose(value(changed), before, rtol=1e-9)


# ---- the ratio head --------------------------------------------------------------------------------------------------


def test_the_ratio_score_is_the_diseased_share_of_the_lung():
    lung = torch.zeros(1, 1, 32, 32)
    lung[..., 4:28, 8:24] = 1
    patterns = torch.zeros(1, 3, 32, 32)
    patterns[:, 0] = 1  # disease outside the lung does not count
    patterns[:, 1, 4:16] = 1
    patterns[:, 2, 4:28, 8:12] = 0.5
    torch.testing.assert_close(ratio_scores(lung, patterns), torch.tensor([[100.0, 50.0, 12.5]]), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("cells", "kept"), [(0, 0.0), (0.1024, 0.0099), (1.024, 0.5), (10.24, 0.99), (102.4, 0.9999)])
def test_a_slice_without_lung_scores_nothing(cells, kept):
    lung = torch.full((1, 1, 32, 32), cells / 1024)
    scores = ratio_scores(lung, torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(scores, torch.full((1, 3), 100 * kept), rtol=5e-3, atol=1e-4)
    assert LUNG_FLOOR == 0.001


@pytest.mark.parametrize(("size", "stride", "cells"), [(256, 2, 32), (512, 4, 32), (512, 2, 64)])
def test_maps_and_scores_of_a_ratio_network_belong_together(size, stride, cells):
    torch.manual_seed(1)
    network = build_s_net("compact_ratio", stem_stride=stride).eval()
    x = torch.rand(2, 1, size, size)
    with torch.inference_mode():
        lung, patterns = network.maps(x)
        assert lung.shape == (2, 1, cells, cells)
        assert patterns.shape == (2, 3, cells, cells)
        assert 0 <= patterns.min() <= patterns.max() <= 1
        logits = network.map_logits(x)
        torch.testing.assert_close(logits[0].sigmoid(), lung)
        torch.testing.assert_close(logits[1].sigmoid(), patterns)
        expected = 100 * (lung * patterns).sum((2, 3)) / lung.sum((2, 3))
        torch.testing.assert_close(network(x), expected, rtol=1e-3, atol=1e-3)


def test_a_ratio_network_learns_lung_and_disease_from_scores_and_maps():
    """A few steps on squares ("lungs") with darker parts ("disease") must bring scores of images never seen close."""
    torch.manual_seed(2)
    network = build_s_net("compact_ratio", widths=(8, 12, 16, 16), blocks=(1, 1, 1, 1), head_width=16)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)

    def batch(n):
        images, lungs, ill = torch.full((n, 1, 64, 64), 0.7), torch.zeros(n, 1, 8, 8), torch.zeros(n, 3, 8, 8)
        for i in range(n):
            rows, columns, part = (int(v) for v in torch.randint(3, 7, (3,)))
            part = min(part - 2, rows)
            images[i, :, 8 : 8 + 8 * rows, 8 : 8 + 8 * columns] = 0.2
            images[i, :, 8 : 8 + 8 * part, 8 : 8 + 8 * columns] = 0.4
            lungs[i, :, 1 : 1 + rows, 1 : 1 + columns] = 1
            ill[i, :, 1 : 1 + part, 1 : 1 + columns] = 1
        return images + 0.02 * torch.randn_like(images), lungs, ill, ratio_scores(lungs, ill)

    for _ in range(60):
        x, lungs, ill, scores = batch(16)
        lung, patterns = network.map_logits(x)
        bce = torch.nn.functional.binary_cross_entropy_with_logits
        loss = bce(lung, lungs) + bce(patterns, ill, weight=lungs.expand_as(ill))
        loss = loss + torch.nn.functional.smooth_l1_loss(network.head(torch.cat([lung, patterns], 1)), scores) / 10
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, _, _, scores = batch(32)
    with torch.inference_mode():
        error = (network.eval()(x) - scores).abs().mean()
    assert error < 6, f"mean absolute error {error:.1f} percentage points"


# ---- the compact L-Net -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [40, 63, 96])
def test_the_profile_has_one_logit_a_slice_and_its_mean_is_the_answer(depth):
    network = build_l_net("compact_3d").eval()
    x = torch.randn(1, 1, depth, 48, 48)
    with torch.inference_mode():
        profile = network.profile(x)
        assert profile.shape == (1, 5, depth)
        torch.testing.assert_close(network(x), expected_slice(profile))


def test_the_expected_slice_is_the_mean_of_the_distribution():
    logits = torch.full((1, 5, 20), -1e4)
    for level, slices in enumerate([(3,), (0, 1), (19,), (4, 8), (10,)]):
        logits[0, level, list(slices)] = 0
    assert expected_slice(logits).tolist() == [[3.0, 0.5, 19.0, 6.0, 10.0]]


def test_the_compact_l_net_follows_a_shifted_patch():
    """In the middle of a long volume, far from both ends, a shift by 8 slices shifts every level's logits by 8."""
    torch.manual_seed(4)
    network = build_l_net("compact_3d", widths=(4, 8, 8, 8), head_width=16).eval()
    volume = torch.randn(1, 1, 360, 32, 32)
    with torch.inference_mode():
        here, there = network.profile(volume[:, :, :352]), network.profile(volume[:, :, 8:])
    torch.testing.assert_close(there[..., 150:190], here[..., 158:198], rtol=1e-4, atol=1e-5)


def test_the_compact_l_net_tells_right_from_left():
    """Level 5 hangs on the right dome: a mirrored volume must not look the same to the network."""
    network = build_l_net("compact_3d").eval()
    x = torch.zeros(1, 1, 32, 96, 96)
    x[..., :48] = 1
    with torch.inference_mode():
        assert (network.profile(x) - network.profile(x.flip(-1))).abs().max() > 1e-4


def test_the_compact_l_net_learns_where_a_thing_is():
    """Forty steps on one bright slab per level must find the slabs in volumes never seen within 1.5 slices."""
    torch.manual_seed(5)
    network = build_l_net("compact_3d", widths=(4, 8, 8, 8), head_width=16, dropout=0.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)

    def batch(n):
        x, z = torch.randn(n, 1, 32, 16, 16) * 0.1, torch.rand(n, 1) * 8
        levels = (z + torch.tensor([22.0, 17.0, 12.0, 7.0, 2.0])).round()
        for i in range(n):
            for number, level in enumerate(levels[i].int().tolist()):
                x[i, 0, level, :, 2 * number : 2 * number + 6] += 1 + number
        return x, levels

    for _ in range(40):
        x, levels = batch(8)
        loss = torch.nn.functional.smooth_l1_loss(network(x), levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, levels = batch(32)
    with torch.inference_mode():
        error = (network.eval()(x) - levels).abs().mean()
    assert error < 1.5, f"mean absolute error {error:.1f} slices"  # knowing the means alone gives 2
