"""What model bundles promise: complete, verified, refused with a sentence when they are not, found, installed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from SScILDScoringLib.errors import ModelError
from SScILDScoringLib.models import (
    ModelBundle,
    bundled_folders,
    choose_default,
    chosen_defaults,
    default_bundle,
    find_bundle,
    install,
    list_bundles,
    remove,
    user_folder,
    write_bundle,
)
from SScILDScoringLib.models import store as bundle_store
from SScILDScoringLib.models.bundle import file_sha256
from SScILDScoringLib.models.metadata import FORMAT, safe_path
from SScILDScoringLib.networks import build_l_net, build_s_net
from SScILDScoringLib.preprocessing import SliceInput, VolumeInput

WEIGHTS = "models/model.safetensors"
METADATA = "configs/metadata.json"
NOTICE = "starter weights: synthetic disease, not clinically validated"
SOURCE = {"name": "Phantoms of this software", "licence": "Apache-2.0", "citation": "SScILDScoring"}
THRESHOLDS = {"tot": -0.5, "gg": -0.25, "ret": -0.75}


def small_s_net(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = build_s_net("compact_ratio", widths=(8, 8, 16, 16), blocks=(1, 1, 1, 1), head_width=64)
    network(torch.rand(4, 1, 64, 64))  # the norms get statistics that are not 0 and 1
    return network


def write(folder: Path, kind: str = "s_net", **changes) -> ModelBundle:
    """A small real bundle of either kind."""
    arguments = {
        "description": "A network for the tests.",
        "licence_text": "Apache License, Version 2.0",
        "training_data": [SOURCE],
        "notice": NOTICE,
        "accuracy": {"phantoms never seen": {"TOT": {"mae": 2.5, "icc": 0.99}, "GG": {"mae": 1.5}, "slices": 40}},
    }
    if kind == "s_net":
        network, settings = small_s_net(), SliceInput(size=64, hu_window=(-1200, 200), clear_outside_body=True)
        arguments["healthy_patch"] = np.random.default_rng(0).integers(-950, -700, (64, 64)).astype(np.int16)
        arguments["heat_maps"] = {"patch_size": 64, "step": 16, "thresholds": THRESHOLDS}
    else:
        network = build_l_net("compact_3d", widths=(4, 4, 8, 8), head_width=16)
        settings = VolumeInput(size=(48, 32, 32), depth=40, stride=4)
    return write_bundle(folder, network, kind, settings, **{**arguments, **changes})


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    """One bundle of each kind, written once; tests work on copies."""
    root = tmp_path_factory.mktemp("originals")
    return {kind: write(root / f"small_{kind}", kind).folder for kind in ("s_net", "l_net")}


@pytest.fixture
def bundle(originals, tmp_path) -> Path:
    """A copy of the S-Net bundle to be damaged."""
    return shutil.copytree(originals["s_net"], tmp_path / "small_s_net")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The networks here are tiny: a second thread only waits, above all on a busy computer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An empty user folder and no bundled models, so that the tests see nothing of this computer."""
    for variable in ("HOME", "USERPROFILE", "APPDATA", "XDG_DATA_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.delenv("SSCILD_MODELS", raising=False)
    monkeypatch.setattr(bundle_store, "bundled_folders", lambda: [tmp_path / "bundled"])
    return tmp_path / "home"


def edit(bundle: Path, change) -> None:
    """Changes the metadata file of a bundle."""
    path = bundle / METADATA
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def bundled(tmp_path: Path, source: Path) -> Path:
    return shutil.copytree(source, tmp_path / "bundled" / source.name)


def zipped(folder: Path, path: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, inside + file.relative_to(folder).as_posix())
    return path


# ---- writing and reading ---------------------------------------------------------------------------------------------


def test_a_bundle_gives_back_what_was_written(tmp_path):
    bundle = write(tmp_path / "mine", half=False)
    assert (bundle.name, bundle.kind, bundle.version, bundle.network_name) == (
        "mine",
        "s_net",
        "1.0.0",
        "compact_ratio",
    )
    assert bundle.input == SliceInput(size=64, hu_window=(-1200, 200), clear_outside_body=True)
    assert bundle.thresholds == THRESHOLDS
    assert bundle.heat_maps["step"] == 16
    assert bundle.notice == NOTICE
    assert bundle.validated is False
    assert bundle.healthy_patch.dtype == np.int16
    assert bundle.healthy_patch.shape == (64, 64)
    assert bundle.metadata.accuracy["phantoms never seen"]["TOT"]["icc"] == 0.99
    original, network = small_s_net().eval(), bundle.network()
    assert (network.name, network.options) == (original.name, original.options)
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network(x), original(x))
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_half_precision_halves_the_file_and_hardly_changes_the_answer(tmp_path):
    whole, half = write(tmp_path / "whole", half=False), write(tmp_path / "half")
    sizes = [(b.folder / WEIGHTS).stat().st_size for b in (whole, half)]
    assert sizes[1] < 0.8 * sizes[0]
    stored = load_file(half.folder / WEIGHTS)
    assert stored["map_head.0.weight"].dtype == torch.float16
    assert stored["map_head.1.running_var"].dtype == torch.float32  # small tensors keep what they need
    network = half.network()
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), whole.network()(x), rtol=0, atol=0.05)


def test_numbers_beyond_half_precision_are_kept_whole_and_those_beyond_numbers_refused(tmp_path):
    network = small_s_net()
    with torch.no_grad():
        network.map_head[0].weight[0, 0, 0, 0] = 1e6
    arguments = {"description": "d", "licence_text": "l", "training_data": []}
    bundle = write_bundle(tmp_path / "large", network, "s_net", SliceInput(size=64), **arguments)
    assert bundle.network().map_head[0].weight[0, 0, 0, 0] == 1e6
    with torch.no_grad():
        network.map_head[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"map_head\.0\.weight holds values that are not numbers"):
        write_bundle(tmp_path / "nan", network, "s_net", SliceInput(size=64), **arguments)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["large"]  # nothing half-made stays


def test_an_l_net_bundle_is_fed_by_volumes(originals):
    bundle = ModelBundle.load(originals["l_net"], "l_net")
    assert bundle.input == VolumeInput(size=(48, 32, 32), depth=40, stride=4)
    assert bundle.healthy_patch is None
    assert bundle.thresholds is None
    with torch.inference_mode():
        assert bundle.network()(torch.randn(1, 1, 40, 32, 32)).shape == (1, 5)


def test_loading_does_not_disturb_random_numbers(originals):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    ModelBundle.load(originals["s_net"]).network()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", ["resnet18", "convnext_atto"])
def test_large_families_survive_the_way_through_a_bundle(name, tmp_path):
    network = build_s_net(name).eval()
    arguments = {"description": "d", "licence_text": "l", "training_data": [], "half": False}
    bundle = write_bundle(tmp_path / "mine", network, "s_net", SliceInput(size=64), **arguments)
    x = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(bundle.network()(x), network(x))


def test_the_hash_identifies_weights_and_settings(bundle):
    first = ModelBundle.load(bundle)
    assert first.sha256 == file_sha256(bundle / METADATA)
    assert first.weights_sha256 == file_sha256(bundle / WEIGHTS)
    edit(bundle, lambda values: values["sscild"]["input"].update(hu_window=[-1000, 200]))
    assert ModelBundle.load(bundle).sha256 != first.sha256


def test_monai_reads_our_metadata(originals):
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_meta(str(originals["s_net"] / METADATA))
    required = "version changelog monai_version pytorch_version numpy_version required_packages_version name task "
    required += "description authors copyright data_source data_type intended_use eval_metrics network_data_format"
    assert set(required.split()) <= set(parser["_meta_"])
    image = parser["_meta_#network_data_format#inputs#image"]
    assert (image["modality"], image["num_channels"], image["spatial_shape"]) == ("CT", 1, [64, 64])
    assert parser["_meta_#network_data_format#outputs#pred#channel_def"] == {"0": "TOT", "1": "GG", "2": "RET"}


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such permissions")
def test_other_users_of_the_computer_can_read_a_bundle(bundle):
    for path in bundle.rglob("*"):
        assert path.is_dir() or path.stat().st_mode & 0o044 == 0o044, path.name


def test_nothing_is_overwritten_unless_asked(bundle, tmp_path):
    before = file_sha256(bundle / METADATA)
    with pytest.raises(ModelError, match="already something at"):
        write(bundle)
    assert file_sha256(bundle / METADATA) == before
    assert write(bundle, version="2.0.0", overwrite=True).version == "2.0.0"
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_keep.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ModelError, match="is no model bundle, so it is not overwritten"):
        write(tmp_path / "letters", overwrite=True)
    assert (tmp_path / "letters" / "to_keep.txt").is_file()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"healthy_patch": np.zeros((32, 32), np.int16)}, "64x64 array of int16"),
        ({"healthy_patch": np.zeros((64, 64))}, "64x64 array of int16"),
        ({"heat_maps": {"thresholds": {"tot": -1}}}, "thresholds gives a number of at most 0 for each"),
        ({"heat_maps": {"thresholds": {**THRESHOLDS, "gg": 1}}}, "thresholds gives a number of at most 0 for each"),
        ({"heat_maps": {"step": 0}}, "step is a whole number"),
        ({"training_data": [{"name": "somewhere"}]}, r"training_data\[0\].licence is missing"),
        ({"accuracy": {"x": float("nan")}}, "cannot be written"),
        ({"accuracy": {"x": [1, 2]}}, "accuracy.x is a number, a text or a table"),
        ({"notice": " "}, "notice must not be empty while validated is false"),
        ({"licence_text": ""}, "text of its licence"),
        ({"name": "../elsewhere"}, "name has letters"),
    ],
)
def test_a_bundle_that_could_not_be_read_is_not_written(changes, words, tmp_path):
    with pytest.raises(ModelError, match=words):
        write(tmp_path / "mine", **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_network_is_not_written_with_the_other_kind_of_input(tmp_path):
    with pytest.raises(ModelError, match="s_net is fed by SliceInput, not VolumeInput"):
        write_bundle(
            tmp_path / "x", small_s_net(), "s_net", VolumeInput(), description="", licence_text="l", training_data=[]
        )


# ---- refused bundles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [WEIGHTS, "models/healthy_patch.npy", "docs/README.md", "LICENSE"])
def test_an_altered_file_is_refused(path, bundle):
    content = bytearray((bundle / path).read_bytes())
    content[-1] ^= 1
    (bundle / path).write_bytes(content)
    with pytest.raises(ModelError, match=rf"small_s_net was altered or damaged: {path}"):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("path", [WEIGHTS, "LICENSE"])
def test_a_missing_file_is_refused(path, bundle):
    (bundle / path).unlink()
    with pytest.raises(ModelError, match=f"incomplete: {path} is missing"):
        ModelBundle.load(bundle)


def test_weights_changed_after_loading_are_refused(bundle):
    loaded = ModelBundle.load(bundle)
    weights = load_file(bundle / WEIGHTS)
    weights["map_head.3.bias"] += 1
    save_file(weights, bundle / WEIGHTS)
    with pytest.raises(ModelError, match="altered or damaged"):
        loaded.network()


def test_the_other_kind_is_refused(originals):
    with pytest.raises(ModelError, match=r"small_s_net is an S-Net .*; an L-Net .* is needed here"):
        ModelBundle.load(originals["s_net"], "l_net")


def test_a_folder_without_a_bundle_is_refused(tmp_path):
    with pytest.raises(ModelError, match="does not exist"):
        ModelBundle.load(tmp_path / "absent")
    with pytest.raises(ModelError, match=f"has no {METADATA}"):
        ModelBundle.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.pop("sscild"), "not a model bundle of SScILDScoring"),
        (lambda v: v.update(sscild=[]), "sscild is no table"),
        (lambda v: v["sscild"].update(format=FORMAT + 1), "newer version of this software .* Update SScILDScoring"),
        (lambda v: v["sscild"].update(format=True), "format is a whole number"),
        (lambda v: v["sscild"].update(kind="u_net"), "kind is one of l_net, s_net"),
        (lambda v: v["sscild"].pop("network"), "sscild.network is missing"),
        (lambda v: v["sscild"]["network"].update(name=5), "sscild.network.name is a text"),
        (lambda v: v["sscild"].update(validated="no"), "validated is true or false"),
        (lambda v: v["sscild"].update(notice=""), "notice must not be empty"),
        (lambda v: v["sscild"]["input"].update(depth=3), "input is not usable"),
        (lambda v: v["sscild"]["input"].update(size=-64), "input has the size -64"),
        (lambda v: v["sscild"]["input"].update(hu_window=[200, -1200]), "input is not usable"),
        (lambda v: v["sscild"]["files"].pop(WEIGHTS), f"files does not list {WEIGHTS}"),
        (lambda v: v["sscild"]["files"].update(LICENSE="abc"), "no SHA-256 for LICENSE"),
        (lambda v: v["sscild"]["files"].update({"../../secret": "0" * 64}), "could lead outside the bundle"),
        (lambda v: v["sscild"]["files"].update({"/etc/hostname": "0" * 64}), "could lead outside the bundle"),
        (lambda v: v["sscild"]["files"].update({"C:\\x": "0" * 64}), "could lead outside the bundle"),
        (lambda v: v.update(name="a/b"), "name has letters"),
        (lambda v: v.pop("version"), "version is missing"),
    ],
)
def test_metadata_that_are_not_right_are_refused(change, words, bundle):
    edit(bundle, change)
    with pytest.raises(ModelError, match=words):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b'{"sscild": NaN}', b"[" * 100_000, b" " * (2 << 20)])
def test_metadata_that_are_no_json_are_refused(content, bundle):
    (bundle / METADATA).write_bytes(content)
    with pytest.raises(ModelError, match="small_s_net"):
        ModelBundle.load(bundle)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_out_of_the_bundle_is_refused(bundle, tmp_path):
    (bundle / "LICENSE").rename(tmp_path / "elsewhere")
    (bundle / "LICENSE").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link that leads outside"):
        ModelBundle.load(bundle)


def swap_weights(bundle: Path, weights: dict[str, torch.Tensor] | bytes) -> None:
    """Other weights with the right checksum: what a wrong bundle, not an altered one, looks like."""
    if isinstance(weights, bytes):
        (bundle / WEIGHTS).write_bytes(weights)
    else:
        save_file(weights, bundle / WEIGHTS)
    edit(bundle, lambda values: values["sscild"]["files"].update({WEIGHTS: file_sha256(bundle / WEIGHTS)}))


def test_weights_that_do_not_fit_the_network_are_refused(bundle):
    weights = load_file(bundle / WEIGHTS)
    swap_weights(bundle, {k: v for k, v in weights.items() if k != "map_head.3.bias"})
    with pytest.raises(ModelError, match=r"do not fit its network: .*map_head\.3\.bias"):
        ModelBundle.load(bundle).network()
    swap_weights(bundle, {**weights, "extra": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"do not fit its network: .*extra"):
        ModelBundle.load(bundle).network()
    swap_weights(bundle, {**weights, "map_head.3.bias": torch.zeros(5)})
    with pytest.raises(ModelError, match=r"do not fit its network: .*map_head\.3\.bias"):
        ModelBundle.load(bundle).network()
    swap_weights(bundle, b"PK this is no safetensors file")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelBundle.load(bundle).network()


def test_an_unknown_network_is_refused(bundle):
    edit(bundle, lambda values: values["sscild"]["network"].update(name="perceptron"))
    with pytest.raises(ModelError, match="cannot be built: There is no S-Net called 'perceptron'"):
        ModelBundle.load(bundle).network()


def test_a_patch_with_python_objects_in_it_is_refused(bundle):
    path = "models/healthy_patch.npy"
    np.save(bundle / path, np.array([{"code": 1}] * 4, object), allow_pickle=True)
    edit(bundle, lambda values: values["sscild"]["files"].update({path: file_sha256(bundle / path)}))
    with pytest.raises(ModelError, match="is not an array"):
        ModelBundle.load(bundle)


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "a/../b", "/x", "a//b", "a/", "a\\b", "c:/x", "./a", "a\0b"])
def test_paths_that_could_lead_outside(path):
    assert not safe_path(path)
    assert safe_path("models/model.safetensors")


# ---- the model card --------------------------------------------------------------------------------------------------


def test_the_model_card_says_what_a_user_must_know(originals):
    card = (originals["s_net"] / "docs" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# small_s_net 1.0.0\n")
    assert f"> **{NOTICE}**" in card
    assert "an axial slice of 64x64 pixels, HU clipped to -1200..200 and scaled to 0..1" in card
    assert "| Validated on patients | **no** |" in card
    assert "### phantoms never seen" in card
    assert "|  | mae | icc |\n| --- | --- | --- |\n| TOT | 2.5 | 0.99 |\n| GG | 1.5 |  |" in card
    assert "- slices: 40" in card
    assert f"| {SOURCE['name']} | {SOURCE['licence']} | {SOURCE['citation']} |" in card
    assert "sscild score CT -o OUT --s-net small_s_net" in card
    assert "| thresholds: ret | -0.75 |" in card
    assert "## Limits" in card
    level_card = (originals["l_net"] / "docs" / "README.md").read_text(encoding="utf-8")
    assert "the CT resized to 32x32x48 (x, y, z)" in level_card
    assert "--l-net small_l_net" in level_card
    assert "## Heat maps" not in level_card


# ---- where bundles are -----------------------------------------------------------------------------------------------


def test_the_list_shows_every_place_in_the_order_of_search(originals, tmp_path, monkeypatch):
    assert list_bundles() == []
    bundled(tmp_path, originals["l_net"])
    install(originals["s_net"])
    other = tmp_path / "given" / "also_scores"
    write(other)
    monkeypatch.setenv("SSCILD_MODELS", os.pathsep.join([str(tmp_path / "absent"), str(tmp_path / "given")]))
    entries = list_bundles()
    assert [(e.name, e.place) for e in entries] == [
        ("also_scores", "environment"),
        ("small_s_net", "user"),
        ("small_l_net", "bundled"),
    ]
    assert [e.name for e in list_bundles("l_net")] == ["small_l_net"]
    assert (entries[0].kind, entries[0].network_name, entries[0].error) == ("s_net", "compact_ratio", None)
    assert entries[0].load().folder == other


def test_broken_bundles_are_listed_with_the_reason(originals, tmp_path):
    altered = bundled(tmp_path, originals["s_net"])
    (altered / "LICENSE").write_text("other", encoding="utf-8")
    unreadable = bundled(tmp_path, originals["l_net"])
    (unreadable / METADATA).write_text("{", encoding="utf-8")
    entries = {e.name: e for e in list_bundles()}
    assert "altered or damaged: LICENSE" in entries["small_s_net"].error
    assert "cannot be read" in entries["small_l_net"].error
    assert entries["small_l_net"].kind == ""
    with pytest.raises(ModelError):
        entries["small_s_net"].load()
    assert {e.name: e.error for e in list_bundles(verify=False)}["small_s_net"] is None


def test_listing_and_checking_need_no_torch(originals, tmp_path):
    """``sscild models list`` answers at once: torch is imported when a network is built, not before."""
    bundled(tmp_path, originals["s_net"])
    code = (
        "import sys; from SScILDScoringLib.models import list_bundles; "
        "print([e.error for e in list_bundles()], 'torch' in sys.modules)"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(bundle_store.__file__).parents[2]),
        "SSCILD_MODELS": str(tmp_path / "bundled"),
    }
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.startswith("[None")
    assert run.stdout.strip().endswith("False")


def test_a_bundle_is_found_by_name_or_path(originals, tmp_path, monkeypatch):
    bundled(tmp_path, originals["s_net"])
    assert find_bundle("small_s_net", "s_net").folder == tmp_path / "bundled" / "small_s_net"
    assert find_bundle("small_s_net", None).kind == "s_net"
    assert find_bundle(originals["s_net"], "s_net").folder == originals["s_net"]
    assert find_bundle(str(originals["l_net"]), "l_net").kind == "l_net"
    monkeypatch.chdir(originals["l_net"].parent)
    assert find_bundle("small_l_net", "l_net").folder == originals["l_net"]
    with pytest.raises(ModelError, match=r"no S-Net .* called 'nothing' on this computer. There are: small_s_net\."):
        find_bundle("nothing", "s_net")
    with pytest.raises(ModelError, match="no model bundle called 'nothing'"):
        find_bundle("nothing", None)
    with pytest.raises(ModelError, match=r"an L-Net .* is needed here"):
        find_bundle("small_s_net", "l_net")
    with pytest.raises(ModelError, match="does not exist"):
        find_bundle(str(tmp_path / "nowhere"), "s_net")


def test_the_default_is_the_starter_until_the_user_chooses(originals, tmp_path):
    assert default_bundle("s_net") is None
    starter = bundled(tmp_path, originals["s_net"])
    assert default_bundle("s_net").folder == starter
    assert find_bundle(None, "s_net").folder == starter
    assert default_bundle("l_net") is None
    install(write(tmp_path / "better").folder)
    assert default_bundle("s_net").folder == starter  # installing alone changes nothing
    choose_default("s_net", "better")
    assert default_bundle("s_net").name == "better"
    assert chosen_defaults() == {"s_net": "better"}
    choose_default("s_net", None)
    assert default_bundle("s_net").folder == starter
    with pytest.raises(ModelError, match="called 'nothing'"):
        choose_default("s_net", "nothing")


def test_a_default_that_is_gone_is_an_error_and_not_another_network(originals, tmp_path):
    bundled(tmp_path, originals["s_net"])
    install(write(tmp_path / "better").folder)
    choose_default("s_net", "better")
    shutil.rmtree(user_folder() / "better")
    with pytest.raises(ModelError, match=r"chosen default cannot be used.*'better'"):
        default_bundle("s_net")
    (user_folder().parent / "default_models.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ModelError, match="Delete it"):
        default_bundle("s_net")


def test_a_damaged_starter_is_an_error(originals, tmp_path):
    starter = bundled(tmp_path, originals["s_net"])
    (starter / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="incomplete"):
        default_bundle("s_net")


def test_the_bundled_folders_of_this_checkout_are_found():
    top = Path(__file__).resolve().parents[2]
    expected = top / "Resources" / "Models"
    assert (expected in bundled_folders()) == expected.is_dir()


@pytest.mark.parametrize("layout", ["slicer", "wheel"])
def test_the_bundled_folders_of_an_installation_are_found(layout, tmp_path):
    """The library is copied to where Slicer or pip puts it, and asked there, in a Python of its own."""
    library = Path(bundle_store.__file__).parents[1]
    shutil.copytree(library, tmp_path / "site" / library.name, ignore=shutil.ignore_patterns("__pycache__"))
    resources = tmp_path / "site" / {"slicer": "Resources", "wheel": "SScILDScoringResources"}[layout]
    (resources / "Models").mkdir(parents=True)
    code = "from SScILDScoringLib.models import bundled_folders; print(*bundled_folders(), sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert str((resources / "Models").resolve()) in run.stdout.splitlines()


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ("SScILDScoring", "models")),
        ("win32", ("SScILDScoring", "models")),
        ("darwin", ("Library", "Application Support", "SScILDScoring", "models")),
    ],
)
def test_the_user_folder_is_where_the_platform_keeps_data(platform, expected, home, monkeypatch):
    monkeypatch.setattr(bundle_store.sys, "platform", platform)
    assert user_folder() == home.joinpath(*expected)
    if platform == "linux":
        monkeypatch.delenv("XDG_DATA_HOME")
        assert user_folder() == home.joinpath(".local", "share", *expected)


# ---- installing and removing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["folder", "folder of one", "zip", "zip with a folder", "zip made by hand"])
def test_a_bundle_is_installed_from(form, originals, tmp_path):
    source = originals["s_net"]
    if form == "folder of one":
        shutil.copytree(source, tmp_path / "download" / "anything")
        source = tmp_path / "download"
    elif form == "zip":
        source = zipped(source, tmp_path / "b.zip")
    elif form == "zip with a folder":
        source = zipped(source, tmp_path / "b.zip", "small_s_net/")
    elif form == "zip made by hand":  # with entries for folders, and a file that the bundle does not list
        source = zipped(source, tmp_path / "b.zip", "x/y/")
        with zipfile.ZipFile(source, "a") as archive:
            archive.mkdir("x/y/extra")
            archive.writestr("x/y/extra/.DS_Store", b"rubbish")
            archive.writestr("notes.txt", b"rubbish")
    bundle = install(source)
    assert bundle.folder == user_folder() / "small_s_net"
    assert bundle.sha256 == ModelBundle.load(originals["s_net"]).sha256
    assert sorted(p.relative_to(bundle.folder).as_posix() for p in bundle.folder.rglob("*") if p.is_file()) == sorted(
        [METADATA, *bundle.metadata.files]
    )
    assert [p.name for p in user_folder().iterdir()] == ["small_s_net"]
    bundle.network()


def test_an_installed_bundle_is_replaced_only_on_request(originals, tmp_path):
    install(originals["s_net"])
    newer = write(tmp_path / "n" / "small_s_net", version="2.0.0")
    with pytest.raises(ModelError, match="installed already"):
        install(newer.folder)
    assert find_bundle("small_s_net", "s_net").version == "1.0.0"
    assert install(newer.folder, overwrite=True).version == "2.0.0"
    assert [p.name for p in user_folder().iterdir()] == ["small_s_net"]


def test_a_broken_bundle_is_not_installed(bundle):
    weights = load_file(bundle / WEIGHTS)
    weights.pop("map_head.3.bias")
    swap_weights(bundle, weights)  # checksums are right, but the network cannot be built of it
    with pytest.raises(ModelError, match="do not fit"):
        install(bundle)
    assert list(user_folder().iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../outside.txt", "could lead outside"),
        ("/tmp/outside.txt", "could lead outside"),
        ("small_s_net/../../outside.txt", "could lead outside"),
        ("..\\outside.txt", "could lead outside"),
        ("C:/outside.txt", "could lead outside"),
        ("small_s_net/LICENSE", "a file is in it twice"),
        ("small_s_net/license", "a file is in it twice"),
        ("other/configs/metadata.json", "holds 2 model bundles"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_such_an_entry_is_refused(name, words, originals, tmp_path):
    path = zipped(originals["s_net"], tmp_path / "b.zip", "small_s_net/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelError, match=words):
        install(path)
    assert list(user_folder().iterdir()) == []
    assert not list(tmp_path.rglob("outside.txt"))


def test_an_archive_with_a_link_is_refused(originals, tmp_path):
    path = zipped(originals["s_net"], tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("models/link")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/hostname")
    with pytest.raises(ModelError, match="models/link is a link or a device"):
        install(path)


def test_an_archive_that_would_grow_beyond_reason_is_refused(originals, tmp_path):
    path = zipped(originals["s_net"], tmp_path / "b.zip")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(64 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=r"would grow to 64 MiB"):
        install(path)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(1001):
            archive.writestr(str(number), b"")
    with pytest.raises(ModelError, match="it has 1001 files"):
        install(tmp_path / "many.zip")


def test_a_damaged_archive_is_refused(originals, tmp_path):
    path = zipped(originals["s_net"], tmp_path / "b.zip")
    content = path.read_bytes()
    for number, damaged in enumerate([b"", b"no zip at all", content[: len(content) // 2]]):
        (tmp_path / f"{number}.zip").write_bytes(damaged)
        with pytest.raises(ModelError, match="not a zip file that can be read"):
            install(tmp_path / f"{number}.zip")
    middle = bytearray(content)
    middle[len(content) // 2] ^= 255
    (tmp_path / "flipped.zip").write_bytes(middle)
    with pytest.raises(ModelError):
        install(tmp_path / "flipped.zip")
    assert list(user_folder().iterdir()) == []


def test_what_is_no_bundle_is_not_installed(tmp_path):
    with pytest.raises(ModelError, match="nothing to install"):
        install(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="holds no model bundle"):
        install(tmp_path / "empty")
    with zipfile.ZipFile(tmp_path / "letters.zip", "w") as archive:
        archive.writestr("letter.txt", b"dear")
    with pytest.raises(ModelError, match="holds no model bundle"):
        install(tmp_path / "letters.zip")


def test_only_the_users_own_bundles_are_removed(originals, tmp_path):
    starter = bundled(tmp_path, originals["l_net"])
    install(originals["s_net"])
    choose_default("s_net", "small_s_net")
    remove("small_s_net")
    assert chosen_defaults() == {}
    assert list(user_folder().iterdir()) == []
    with pytest.raises(ModelError, match="No model bundle called 'small_s_net' is installed"):
        remove("small_s_net")
    with pytest.raises(ModelError, match="small_l_net came with this software and is not removed"):
        remove("small_l_net")
    with pytest.raises(ModelError, match="is installed in"):
        remove("../models")
    assert (starter / METADATA).is_file()


def test_a_user_folder_that_is_in_the_way_is_named(originals):
    user_folder().parent.mkdir(parents=True)
    user_folder().write_text("in the way", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be installed in"):
        install(originals["s_net"])
    shutil.rmtree(user_folder().parent.parent)
    user_folder().parent.parent.write_text("in the way", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be kept in"):
        choose_default("s_net", None)
