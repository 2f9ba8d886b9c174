"""What training starts from: ImageNet files (local, downloaded, damaged) and model bundles."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from SScILDScoringLib.errors import Cancelled, ModelError, SettingsError
from SScILDScoringLib.models import default_bundle, find_bundle
from SScILDScoringLib.networks import build_s_net
from SScILDScoringTrainingLib.config import read_yaml
from SScILDScoringTrainingLib.loop import starting_weights
from SScILDScoringTrainingLib.loop.starting_weights import IMAGENET_FILES, weights_file
from SScILDScoringTrainingLib.recipes import recipe_of


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        """Requests are not told."""


@pytest.fixture
def server(tmp_path):
    """A web server of the folder ``web``; its address."""
    (tmp_path / "web").mkdir()
    made = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web"))
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/"
    made.shutdown()
    made.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's folder for downloads, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def named(content: bytes) -> str:
    return f"weights-{hashlib.sha256(content).hexdigest()[:8]}.pth"


def test_a_download_is_checked_kept_and_used_again(tmp_path, server, cache):
    content = b"weights" * 500_000
    (tmp_path / "web" / named(content)).write_bytes(content)
    told = []
    path = weights_file(server + named(content), "any", lambda *a: told.append(a))
    assert path == cache / named(content)
    assert path.read_bytes() == content
    assert told[-1][:2] == ("download", 1.0)
    (tmp_path / "web" / named(content)).unlink()
    assert weights_file(server + named(content), "any") == path, "what is there needs no network"


def test_a_download_with_another_checksum_is_not_kept(tmp_path, server, cache):
    name = named(b"what was meant")
    (tmp_path / "web" / name).write_bytes(b"what arrived")
    with pytest.raises(ModelError, match="another SHA-256"):
        weights_file(server + name, "any")
    assert list(cache.iterdir()) == []


def test_a_cancelled_or_missing_download_leaves_nothing(tmp_path, server, cache):
    content = b"x" * (3 << 20)
    (tmp_path / "web" / named(content)).write_bytes(content)

    def cancel(stage, fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        weights_file(server + named(content), "any", cancel)
    with pytest.raises(ModelError, match=r"give the file's path as network\.weights"):
        weights_file(server + "gone-01234567.pth", "any")
    assert list(cache.iterdir()) == []


def test_a_damaged_file_of_an_earlier_download_is_not_used(cache):
    cache.mkdir(parents=True)
    (cache / "weights-01234567.pth").write_bytes(b"damaged since")
    with pytest.raises(ModelError, match="is damaged"):
        weights_file("https://example.org/weights-01234567.pth", "any")


def test_an_address_without_a_checksum_is_refused(cache):
    with pytest.raises(ModelError, match="beginning of its SHA-256"):
        weights_file("https://example.org/weights.pth", "any")


def test_official_files_are_named_for_networks_that_have_them():
    for name in IMAGENET_FILES:
        assert build_s_net(name).name == name
    with pytest.raises(ModelError, match="no official ImageNet weights for compact_ratio"):
        weights_file("imagenet", "compact_ratio")


def small_imagenet_file(folder, network) -> str:
    """A file such as torchvision's: three colour channels, a classifier of a thousand classes."""
    state = {k: torch.randn_like(v) if v.is_floating_point() else v for k, v in network.state_dict().items()}
    state = {k: v for k, v in state.items() if not k.startswith("classifier.")}
    stem = next(iter(state))
    state[stem] = torch.randn(state[stem].shape[0], 3, *state[stem].shape[2:])
    state["classifier.weight"] = torch.randn(1000, 4)
    torch.save(state, folder / "file.pth")
    content = (folder / "file.pth").read_bytes()
    (folder / named(content)).write_bytes(content)
    return named(content)


def test_imagenet_means_the_official_file_whose_encoder_is_taken(tmp_path, server, cache, monkeypatch):
    network = build_s_net("convnext_atto")
    name = small_imagenet_file(tmp_path / "web", network)
    monkeypatch.setattr(starting_weights, "OFFICIAL", server)
    monkeypatch.setitem(IMAGENET_FILES, "convnext_atto", name)
    recipe = recipe_of(scores_config({"name": "convnext_atto", "weights": "imagenet"}))
    started = recipe.network()
    given = torch.load(tmp_path / "web" / name, weights_only=True)
    stem = next(iter(given))
    assert torch.allclose(started.state_dict()[stem], given[stem].sum(1, keepdim=True))
    (cache / name).unlink()
    recipe.network(start=False)
    assert not (cache / name).exists(), "a network whose weights are replaced needs no file"


def scores_config(network: dict, **changes) -> dict:
    return {
        "recipe": "scores",
        "network": network,
        "data": {},
        "training": {"batch_size": 2, "steps": 2, "learning_rate": 1e-4},
        "bundle": {"name": "x", "description": "A test."},
        **changes,
    }


def as_input(bundle) -> dict:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in bundle.input.to_metadata().items()}


def test_fine_tuning_starts_with_the_weights_of_a_bundle():
    bundle = default_bundle("s_net")
    recipe = recipe_of(scores_config({"bundle": bundle.name}, input=as_input(bundle)))
    started, given = recipe.network().state_dict(), bundle.network().state_dict()
    assert all(torch.equal(started[k], given[k]) for k in given)
    config = recipe.plain_config()["network"]
    assert config["name"] == bundle.network_name, "a run's configuration is complete without the bundle"
    config["bundle"] = "long_gone"
    assert recipe_of(scores_config(config, input=as_input(bundle))).network(start=False).name == bundle.network_name


def test_a_bundle_that_was_fed_otherwise_or_is_another_network_is_refused():
    bundle = default_bundle("s_net")
    other = {**as_input(bundle), "hu_window": [-1500, 1500]}
    with pytest.raises(SettingsError, match=r"Set input.hu_window: \[-1024"):
        recipe_of(scores_config({"bundle": bundle.name}, input=other)).network()
    with pytest.raises(SettingsError, match="holds the network compact_ratio"):
        recipe_of(scores_config({"name": "compact_pool", "bundle": bundle.name}, input=as_input(bundle))).network()
    with pytest.raises(ModelError):
        recipe_of(scores_config({"bundle": default_bundle("l_net").name}))
    with pytest.raises(SettingsError, match="not both"):
        recipe_of(scores_config({"bundle": "a", "weights": "b"}))
    with pytest.raises(SettingsError, match=r"network\.name"):
        recipe_of(scores_config({}))


@pytest.mark.parametrize("preset", ["s_net_cpu", "l_net_cpu"])
def test_presets_that_fine_tune_fit_their_starter(preset, monkeypatch, tmp_path):
    monkeypatch.setenv("COHORT", str(tmp_path))
    recipe = recipe_of(read_yaml(preset))
    network = recipe.network()
    bundle = find_bundle(recipe.config.network.bundle, bundle_kind(preset))
    assert all(torch.equal(v, bundle.network().state_dict()[k]) for k, v in network.state_dict().items())


def bundle_kind(preset: str) -> str:
    return preset.removesuffix("_cpu")
