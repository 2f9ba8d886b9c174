"""What a network starts from: nothing, ImageNet weights, or a model bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path

from torch import hub, nn

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.models import ModelBundle, find_bundle
from SScILDScoringLib.networks import build_network, load_imagenet
from SScILDScoringLib.preprocessing import SliceInput, VolumeInput
from SScILDScoringLib.progress import Progress, silent

from ..config import NetworkConfig

OFFICIAL = "https://download.pytorch.org/models/"
IMAGENET_FILES = {
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
    "convnext_tiny": "convnext_tiny-983f1562.pth",
    "convnext_small": "convnext_small-0c510722.pth",
    "convnext_base": "convnext_base-6075fbad.pth",
}
"""torchvision's official ImageNet files; the letters before the ending are the first of the file's SHA-256."""

_HASH = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|safetensors)$")
_BLOCK = 1 << 20
_TIMEOUT_S = 30


def resolved(config: NetworkConfig, kind: str) -> NetworkConfig:
    """``config`` with the network's name and options filled in from its bundle, so that a run's configuration is
    complete without the bundle.

    Raises:
        ModelError: no such bundle, or one of another kind.
    """
    if config.name is not None:
        return config
    bundle = find_bundle(config.bundle, kind)
    return dataclasses.replace(config, name=bundle.network_name, options=dict(bundle.metadata.options))


def starting_network(
    kind: str, config: NetworkConfig, given: SliceInput | VolumeInput, start: bool = True, progress: Progress = silent
) -> nn.Module:
    """The network of a configuration.

    Args:
        kind: ``l_net`` or ``s_net``.
        config: with a name, see :func:`resolved`.
        given: how the network is fed in this training; a bundle must have been fed alike.
        start: with the weights it starts from; otherwise random ones, which somebody replaces.

    Raises:
        SettingsError: the bundle's network or input is another one. ModelError: weights that are missing or unfit.
    """
    network = build_network(kind, config.name, **config.options)
    if start and config.weights:
        load_imagenet(network, weights_file(config.weights, config.name, progress))
    if start and config.bundle:
        bundle = find_bundle(config.bundle, kind)
        _must_fit(bundle, network, given)
        network.load_state_dict(bundle.network().state_dict())
    return network


def _must_fit(bundle: ModelBundle, network: nn.Module, given: SliceInput | VolumeInput) -> None:
    options = {key: list(v) if isinstance(v, tuple) else v for key, v in bundle.metadata.options.items()}
    complete = build_network(bundle.kind, bundle.network_name, **options).options
    if (network.name, network.options) != (bundle.network_name, complete):
        raise SettingsError(
            f"The bundle {bundle.name} holds the network {bundle.network_name} {complete}: remove network.name and "
            "network.options, or give these."
        )
    wanted, own = dataclasses.asdict(bundle.input), dataclasses.asdict(given)
    different = [key for key in wanted if key != "stride" and wanted[key] != own[key]]
    if different:
        settings = ", ".join(f"input.{key}: {_plain(wanted[key])}" for key in different)
        raise SettingsError(f"The bundle {bundle.name} was trained with another input. Set {settings}.")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def weights_file(given: str, network: str, progress: Progress = silent) -> Path:
    """The local file of ImageNet weights that ``given`` means.

    Args:
        given: a local path; ``imagenet`` for torchvision's official file of ``network``; or an address whose file name
            carries the beginning of its SHA-256 (``https://.../name-0123abcd.pth``), as torchvision's do.
        network: the network's name.
        progress: told while something is downloaded; may cancel.

    Downloads go to torch's own folder (``torch.hub.get_dir()/checkpoints``), where torchvision looks too, so a file
    that is there is used without the network; its checksum is compared all the same.

    Raises:
        ModelError: there is no such file, it cannot be downloaded, or its checksum is another one.
    """
    if given == "imagenet":
        if network not in IMAGENET_FILES:
            raise ModelError(
                f"There are no official ImageNet weights for {network}; there are for {', '.join(IMAGENET_FILES)}."
            )
        given = OFFICIAL + IMAGENET_FILES[network]
    if urllib.parse.urlsplit(given).scheme not in ("http", "https", "file"):
        return Path(given)
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(given).path)).name
    if not _HASH.search(name):
        raise ModelError(
            f"{given}: the file's name must carry the beginning of its SHA-256, as in vgg11_bn-6002323d.pth; otherwise "
            "download it yourself and give its path."
        )
    target = Path(hub.get_dir()) / "checkpoints" / name
    if not target.is_file():
        _download(given, target, progress)
    elif not _sum_fits(target):
        raise ModelError(f"{target} is damaged (its SHA-256 does not begin as its name says). Delete it.")
    return target


def _sum_fits(path: Path, name: str | None = None) -> bool:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest().startswith(_HASH.search(name or path.name).group(1))


def _download(address: str, target: Path, progress: Progress) -> None:
    part = target.with_name(f".{os.getpid()}.part.{target.name}")
    by_hand = f"Download {address} where there is a network, and give the file's path as network.weights."
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer, part.open("wb") as file:  # noqa: S310
            size = int(answer.headers.get("Content-Length") or 0)
            if size and shutil.disk_usage(target.parent).free < size:
                raise ModelError(f"There is no room in {target.parent} for {target.name} ({size >> 20} MB).")
            done = 0
            while block := answer.read(_BLOCK):
                file.write(block)
                done += len(block)
                progress("download", done / size if size else 0.0, f"{target.name}, {done >> 20} MB")
            file.flush()
            os.fsync(file.fileno())
        if size and done != size:
            raise ModelError(f"The download of {target.name} broke off. {by_hand}")
        if not _sum_fits(part, target.name):
            raise ModelError(f"{target.name} arrived with another SHA-256 than its name says and was not kept.")
        part.replace(target)
    except (OSError, urllib.error.URLError, ValueError) as error:
        raise ModelError(f"{target.name} cannot be downloaded ({error}). {by_hand}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
