"""A model bundle on disk: a network's weights with everything that is needed to use them rightly.

The folder has MONAI's bundle layout::

    configs/metadata.json       MONAI's keys and our section ``sscild`` (see metadata.py)
    models/model.safetensors    weights, float16 or float32, read without pickle
    models/healthy_patch.npy    int16 HU (64, 64), healthy lung for the heat maps (S-Net, optional)
    docs/README.md              the model card
    LICENSE
"""

from __future__ import annotations

import hashlib
import io
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError, SettingsError
from ..preprocessing import SliceInput, VolumeInput
from .metadata import HEALTHY_PATCH, KIND_TITLES, METADATA, WEIGHTS, BundleMetadata, read_metadata

if TYPE_CHECKING:
    import torch

PATCH_SHAPE = (64, 64)

LARGE_NETWORK = 20_000_000
"""Parameters from which on a network is built without start values."""

_BLOCK = 1 << 20


class ModelBundle:
    """A verified model bundle; :meth:`load` makes one.

    >>> bundle = ModelBundle.load("Resources/Models/starter_scores")       # doctest: +SKIP
    >>> bundle.network()(torch.from_numpy(bundle.input.prepare(hu))[None, None])   # doctest: +SKIP

    Checksums tell damage and half-made changes; they do not tell who made a bundle.
    """

    def __init__(self, folder: Path, metadata: BundleMetadata) -> None:
        self.folder = folder
        self.metadata = metadata

    @classmethod
    def load(cls, folder: str | Path, kind: str | None = None) -> ModelBundle:
        """The bundle in ``folder``, every listed file checked against its SHA-256.

        Args:
            folder: the bundle's folder (the one that holds ``configs``).
            kind: ``l_net`` or ``s_net`` when only that kind will do.

        Raises:
            ModelError: no bundle, wrong kind, unusable or too new metadata, a file missing, altered or outside.
        """
        folder = Path(folder).absolute()
        bundle = cls(folder, read_metadata(folder))
        if kind is not None and bundle.kind != kind:
            raise ModelError(
                f"The model bundle {bundle.name} is an {KIND_TITLES[bundle.kind]}; "
                f"an {KIND_TITLES[kind]} is needed here."
            )
        for path in bundle.metadata.files:
            bundle._verify(path)
        bundle.healthy_patch  # noqa: B018 - read now, so that a wrong shape is refused now
        return bundle

    # ---- what the metadata say -----------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.metadata.name

    @property
    def kind(self) -> str:
        """``l_net`` or ``s_net``."""
        return self.metadata.kind

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.metadata.version

    @property
    def network_name(self) -> str:
        """Which network it is, see :mod:`.networks`."""
        return self.metadata.network

    @property
    def input(self) -> SliceInput | VolumeInput:
        """How the network is fed: SliceInput for an S-Net, VolumeInput for an L-Net."""
        return self.metadata.input

    @property
    def thresholds(self) -> dict[str, float] | None:
        """Heat-map thresholds in percentage points for ``tot``, ``gg``, ``ret``; None when there are none."""
        return self.metadata.thresholds

    @property
    def heat_maps(self) -> dict[str, Any]:
        """Settings for heat maps that the bundle asks for (``patch_size``, ``step``, ``thresholds`` ...); may be {}."""
        return dict(self.metadata.heat_maps)

    @property
    def validated(self) -> bool:
        """Whether the weights were validated on patients."""
        return self.metadata.validated

    @property
    def notice(self) -> str:
        """The sentence to be shown with every result; empty only when :attr:`validated`."""
        return self.metadata.notice

    # ---- its files -----------------------------------------------------------------------------------------------

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of ``configs/metadata.json``, which lists those of all other files: it identifies the whole bundle.

        ``sha256sum configs/metadata.json`` gives the same.
        """
        return file_sha256(self.folder / METADATA)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file alone."""
        return self.metadata.files[WEIGHTS]

    @cached_property
    def healthy_patch(self) -> np.ndarray | None:
        """Healthy lung texture in HU, int16 ``(64, 64)``, read-only; None when the bundle has none."""
        if HEALTHY_PATCH not in self.metadata.files:
            return None
        try:
            patch = np.load(io.BytesIO(self._read(HEALTHY_PATCH)), allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise ModelError(f"{HEALTHY_PATCH} of the model bundle {self.name} is not an array: {error}") from error
        if not isinstance(patch, np.ndarray) or patch.dtype != np.int16 or patch.shape != PATCH_SHAPE:
            raise ModelError(f"{HEALTHY_PATCH} of the model bundle {self.name} is not a 64x64 array of int16.")
        patch.flags.writeable = False
        return patch

    def network(self) -> torch.nn.Module:
        """The network with its weights: float32, evaluation mode, no gradients, on the CPU. A new one every call.

        Raises:
            ModelError: the weights were altered since, do not fit the network, or the network cannot be built.
        """
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load

        from ..networks import build_network

        try:
            weights = load(self._read(WEIGHTS))
        except SafetensorError as error:
            raise ModelError(f"The weights of the model bundle {self.name} cannot be read: {error}") from error
        weights = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
        try:
            # No random start values for large networks: they would be overwritten. For small ones PyTorch takes longer
            # to get ready for the device "meta" (a second or two in every process) than it saves.
            large = sum(value.numel() for value in weights.values()) > LARGE_NETWORK
            with torch.random.fork_rng(devices=[]), torch.device("meta") if large else nullcontext():
                network = build_network(self.kind, self.network_name, **self.metadata.options)
            network.load_state_dict(weights, strict=True, assign=True)
        except SettingsError as error:
            raise ModelError(f"The network of the model bundle {self.name} cannot be built: {error}") from error
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"The weights of the model bundle {self.name} do not fit its network: {reason}") from error
        return network.eval().requires_grad_(False)

    def _file(self, path: str) -> Path:
        file = self.folder / path
        if not file.is_file():
            raise ModelError(f"The model bundle {self.name} is incomplete: {path} is missing. Install it again.")
        if not file.resolve().is_relative_to(self.folder.resolve()):
            raise ModelError(f"The model bundle {self.name} is not accepted: {path} is a link that leads outside it.")
        return file

    def _verify(self, path: str) -> None:
        self._compare(path, file_sha256(self._file(path)))

    def _read(self, path: str) -> bytes:
        """A file's content, checked: what is used is what was verified, also when the file changes in between."""
        content = self._file(path).read_bytes()
        self._compare(path, hashlib.sha256(content).hexdigest())
        return content

    def _compare(self, path: str, digest: str) -> None:
        if digest != self.metadata.files[path]:
            raise ModelError(
                f"The model bundle {self.name} was altered or damaged: {path} is not the file its metadata describe. "
                "Install it again."
            )

    def __repr__(self) -> str:
        return f"<ModelBundle {self.name} {self.version}: {self.kind} {self.network_name}>"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
