"""The configurations that a study compares: an ablation's factors, or several networks."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from SScILDScoringLib.errors import ModelError, SettingsError
from SScILDScoringLib.networks import build_network, names

from .plan import Variant
from .published import ABLATION, FACTORS

KINDS = {"levels": "l_net", "scores": "s_net"}
_WEIGHTS = (".pth", ".pt", ".safetensors")


def ablation_variants(
    config: Mapping[str, Any], factors: Sequence[str] = FACTORS, pretrained: str | None = None, why_not: str = ""
) -> tuple[Variant, ...]:
    """All combinations of factors that are on or off, in the order of the published table.

    ``ds``: synthetic slices among the training samples; ``bs``: cohort slices drawn inversely to the frequency of
    their TOT; ``pt``: start from ImageNet weights or a bundle. A factor that is not named stays as the configuration
    has it.

    Args:
        config: complete configuration of the recipe ``scores``.
        pretrained: what ``pt`` starts from: a file of ImageNet weights, ``imagenet`` or a bundle; the configuration's
            own when None.
        why_not: why the configuration's own cannot be had, as a sentence.

    Raises:
        SettingsError: not the recipe ``scores``, or an unknown or repeated factor.
    """
    if config.get("recipe") != "scores":
        raise SettingsError("Synthesis, balancing and pre-training are S-Net's: give a configuration of scores.")
    for factor in factors:
        if factor not in FACTORS or list(factors).count(factor) > 1:
            raise SettingsError(f"The factors are {', '.join(FACTORS)}, each at most once, not {', '.join(factors)}.")
    if not factors:
        raise SettingsError(f"An ablation needs at least one factor: {', '.join(FACTORS)}.")
    settings = {
        "ds": {True: _synthesis(config), False: _no_synthesis(config)},
        "bs": {True: {"data.balanced": True}, False: {"data.balanced": False}},
        "pt": {True: {}, False: {"network.weights": None, "network.bundle": None}},
    }
    missing = ""
    if "pt" in factors:
        settings["pt"][True], missing = _start(config["network"], pretrained, why_not)
    own = {
        "ds": config["data"]["mix"].get("synthetic", 0) > 0,
        "bs": bool(config["data"]["balanced"]),
        "pt": bool(config["network"].get("weights") or config["network"].get("bundle")),
    }
    found = []
    for triple in ABLATION:
        on = dict(zip(FACTORS, triple, strict=True))
        if any(on[f] != own[f] for f in FACTORS if f not in factors):
            continue
        changes: dict[str, Any] = {}
        for factor in factors:
            changes |= settings[factor][on[factor]]
        name = " + ".join(factor.upper() for factor in FACTORS if on[factor]) or "none"
        found.append(Variant(name, changes, on, missing if "pt" in factors and on["pt"] else ""))
    return tuple(found)


def _synthesis(config: Mapping[str, Any]) -> dict[str, Any]:
    """Half of the images are synthetic, as published, unless the configuration has another share of its own."""
    mix = dict(config["data"]["mix"])
    return {"data.mix": mix if mix.get("synthetic", 0) > 0 else {"cohort": 0.5, "synthetic": 0.5}}


def _no_synthesis(config: Mapping[str, Any]) -> dict[str, Any]:
    mix = {kind: share for kind, share in config["data"]["mix"].items() if kind != "synthetic" and share > 0}
    return {"data.mix": mix or {"cohort": 1.0}, "data.validation_synthetic": 0}


def _start(network: Mapping[str, Any], pretrained: str | None, why_not: str) -> tuple[dict[str, Any], str]:
    """Changes that start from pre-trained weights, and why that is not possible here, or nothing."""
    from SScILDScoringLib.models import find_bundle

    given = pretrained or network.get("weights") or network.get("bundle")
    if not given:
        return {}, why_not or "No weights to start from: give ImageNet weights or a bundle with --pretrained."
    address = urllib.parse.urlsplit(given).scheme in ("http", "https", "file")
    if given == "imagenet" or address or given.endswith(_WEIGHTS):
        if given != "imagenet" and not address and not Path(given).is_file():
            return {}, f"There is no file {given}."
        return {"network.weights": given, "network.bundle": None}, ""
    try:
        find_bundle(given, "s_net")
    except ModelError as error:
        return {}, str(error)
    return {"network.weights": None, "network.bundle": given}, ""


def architecture_variants(config: Mapping[str, Any], networks: Sequence[str]) -> tuple[Variant, ...]:
    """The configuration's own network first, then the same training with others, all from random weights.

    Networks without maps of their own are trained on the scores alone (without the section ``dense``).

    Args:
        networks: names (``resnet18``); options after a colon (``compact_pool:stem_stride=4``).

    Raises:
        SettingsError: an unknown name or option, or the same network twice.
    """
    kind = KINDS[str(config["recipe"])]
    chosen = config["network"]
    scratch = {"network.weights": None, "network.bundle": None}
    found = [Variant(chosen["name"], scratch)]
    for text in networks:
        name, _, options = text.partition(":")
        if name not in names(kind):
            raise SettingsError(f"There is no network {name!r}; choose among {', '.join(names(kind))}.")
        values = dict(_option(part) for part in options.split(";") if part)
        network = build_network(kind, name, **values)
        changes = {**scratch, "network.name": name, "network.options": values}
        if config.get("dense") and not hasattr(network, "map_logits"):
            changes["dense"] = None
        found.append(Variant(text, changes))
    if len({v.name for v in found}) < len(found):
        raise SettingsError(f"A network stands twice among {', '.join(v.name for v in found)}.")
    return tuple(found)


def _option(text: str) -> tuple[str, Any]:
    import yaml

    key, separator, value = text.partition("=")
    if not separator:
        raise SettingsError(f"A network's options are written as name:key=value;key=value, not {text!r}.")
    return key.strip(), yaml.safe_load(value)


def own_variants(entries: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """Variants as a study file lists them: ``{name: ..., set: {data.balanced: false}}``.

    Raises:
        SettingsError: an entry of another form.
    """
    found = []
    for entry in entries:
        if not isinstance(entry, Mapping) or not {"name"} <= set(entry) <= {"name", "set"}:
            raise SettingsError(f"A study's variant has a name and, under set, keys and values, not {entry!r}.")
        if not isinstance(entry.get("set", {}), Mapping):
            raise SettingsError(f"Under set of the variant {entry['name']!r} stand keys and values.")
        found.append(Variant(str(entry["name"]), dict(entry.get("set", {}))))
    return tuple(found)
