"""ImageNet weights in torchvision's files, loaded into the encoders of S-Net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from ..errors import ModelError

STEM_CHANNELS = 3


def load_imagenet(network: nn.Module, state_dict_path: str | Path) -> None:
    """Loads a torchvision ImageNet file into the encoder of a ConvNeXt or VGG-BN S-Net; its head stays as it is.

    The stem's kernel is summed over the three colour channels, so that the one-channel stem answers to a grey image
    as the original does to the same image in three channels. The file's classifier is ignored; every other parameter
    must be in the network and the other way round, with the same shape.

    Args:
        network: from ``build_s_net``: ``convnext_tiny`` (or small, base) or ``vgg11_bn`` (16, 19).
        state_dict_path: ``convnext_tiny-983f1562.pth`` and the like, or the same as ``.safetensors``.

    Raises:
        ModelError: no such file, not a file of weights, a network without such weights, or a key that is missing,
            unknown or of another shape. The network is unchanged then.
    """
    path = Path(state_dict_path)
    name = getattr(network, "name", type(network).__name__)
    if not name.startswith(("convnext_", "vgg")) or name.endswith("_3d"):
        raise ModelError(f"There are no torchvision ImageNet weights for the network {name}.")
    given = _read(path)
    own = {key: value for key, value in network.state_dict().items() if not key.startswith("classifier.")}
    stem = next(iter(own))
    loaded = {}
    for key, value in given.items():
        if key.startswith("classifier."):
            continue
        if key not in own:
            raise ModelError(f"{path.name} does not fit {name}: the network has no parameter {key}.")
        if key == stem and value.ndim == 4 and value.shape[1] == STEM_CHANNELS:
            value = value.sum(dim=1, keepdim=True)
        if value.shape != own[key].shape:
            raise ModelError(
                f"{path.name} does not fit {name}: {key} has the shape {_shape(value)} and not {_shape(own[key])}."
            )
        loaded[key] = value
    # Files from before PyTorch 0.4.1 (the official VGG ones) do not count batches; inference does not need it.
    missing = [key for key in own if key not in loaded and not key.endswith("num_batches_tracked")]
    if missing:
        raise ModelError(f"{path.name} does not fit {name}: it lacks {missing[0]} and {len(missing) - 1} more.")
    network.load_state_dict({**network.state_dict(), **loaded})


def _read(path: Path) -> Mapping[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"There is no file of ImageNet weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # torch's restricted reader and safetensors answer damage with many kinds of error
        raise ModelError(f"{path.name} is not a file of weights that can be read safely: {error}") from error
    if not isinstance(weights, Mapping) or not all(isinstance(v, torch.Tensor) for v in weights.values()):
        raise ModelError(f"{path.name} holds no table of named weights.")
    return weights


def _shape(value: torch.Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"
