"""Training configurations: YAML in, checked dataclasses out.

A configuration names no machine: folders are written as ``${NAME}`` and taken from the environment, and any value can
be replaced on the command line (``--set training.minutes=10``).
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from SScILDScoringLib.errors import SettingsError

PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, see :mod:`SScILDScoringLib.networks`, and what it starts from (a random start when neither).

    Args:
        name: a name that ``build_s_net`` or ``build_l_net`` knows; may be left out when a bundle is given.
        options: its options (width, dropout ...).
        weights: ImageNet weights for the encoder of an S-Net: a local file, ``imagenet`` (torchvision's official file,
            downloaded once and checked), or an address (``https://.../name-0123abcd.pth``).
        bundle: name or folder of a model bundle whose network and weights are trained further (fine-tuning).
    """

    name: str | None = None
    options: dict = field(default_factory=dict)
    weights: str | None = None
    bundle: str | None = None

    def __post_init__(self) -> None:
        if self.name is None and self.bundle is None:
            raise SettingsError("Give network.name, or network.bundle to train a model bundle further.")
        if self.weights and self.bundle:
            raise SettingsError("Give either network.weights or network.bundle, and not both.")


@dataclass(frozen=True)
class LoopConfig:
    """How long and how the one training loop runs. See :mod:`.training`.

    Args:
        batch_size: samples of one step, over all processes.
        accumulate: every process takes its share of a step in so many pieces, one after the other, and adds up their
            gradients: less memory, the same step. (BatchNorm sees a piece at a time; its averages then differ.)
        epochs, steps: the end of the training; exactly one of the two.
        minutes: an additional end. The schedule then follows whichever of steps and time is further, so that the
            learning rate has come down when the time is over.
        patience: early stopping: the training ends after so many validations in a row without a better one; None: off.
        optimizer: ``adam`` or ``adamw``. learning_rate, weight_decay: its settings.
        schedule: ``constant``, ``cosine`` (to 1 % of the rate) or ``one_cycle`` (up over 30 %, then cosine).
        warmup_steps: linear rise of the rate at the start (constant and cosine).
        loss: ``mse``, ``smooth_l1`` or ``l1`` on the answers.
        precision: ``auto`` (bf16 where the hardware has matrix units for it, fp16 on older CUDA devices, else fp32),
            ``fp32``, ``bf16`` or ``fp16`` (with a scaled loss).
        clip_norm: gradients are scaled down to this norm; None: not.
        ema: decay of an exponential moving average of the weights, which is then what is validated and kept;
            None: off.
        freeze: patterns of parameter names (``features.*``) that are not trained; the BatchNorm layers among them keep
            their averages. thaw_at: the step from which on they are trained too; None: never.
        validate_every: steps between validations; None: once an epoch.
        checkpoint_minutes: longest time between two checkpoints; there is one after every validation as well.
        deterministic: only operations whose result is the same every time (slower on CUDA; refused where an operation
            of the network has no such form).
        workers: processes that prepare samples (0: in the training process). threads: of torch; None: as it is.
        device: ``auto``, ``cpu``, ``cuda``.
        tensorboard: curves for TensorBoard beside the CSV file.
        mlflow: address of an MLflow server or store the curves are sent to as well (``http://...``, ``file:...``),
            ``environment`` for that of MLFLOW_TRACKING_URI; None: off.
    """

    batch_size: int
    learning_rate: float
    accumulate: int = 1
    epochs: int | None = None
    steps: int | None = None
    minutes: float | None = None
    patience: int | None = None
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_steps: int = 0
    loss: str = "mse"
    precision: str = "auto"
    clip_norm: float | None = None
    ema: float | None = None
    freeze: tuple[str, ...] = ()
    thaw_at: int | None = None
    validate_every: int | None = None
    checkpoint_minutes: float = 5.0
    deterministic: bool = False
    workers: int = 0
    threads: int | None = None
    device: str = "auto"
    tensorboard: bool = True
    mlflow: str | None = None

    def __post_init__(self) -> None:
        one_of("training.optimizer", self.optimizer, ("adam", "adamw"))
        one_of("training.schedule", self.schedule, ("constant", "cosine", "one_cycle"))
        one_of("training.loss", self.loss, ("mse", "smooth_l1", "l1"))
        one_of("training.precision", self.precision, ("auto", "fp32", "bf16", "fp16"))
        if (self.epochs is None) == (self.steps is None):
            raise SettingsError("Give either training.epochs or training.steps, and not both.")
        positive = ("batch_size", "accumulate", "epochs", "steps", "minutes", "patience", "learning_rate", "clip_norm",
                    "validate_every", "thaw_at", "checkpoint_minutes")  # fmt: skip
        for name in positive:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingsError(f"training.{name} must be greater than zero, not {value}.")
        if self.batch_size % self.accumulate:
            raise SettingsError(
                f"training.batch_size ({self.batch_size}) must be a multiple of training.accumulate "
                f"({self.accumulate})."
            )
        if self.thaw_at and not self.freeze:
            raise SettingsError("training.thaw_at needs training.freeze: there is nothing to thaw.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise SettingsError(f"training.ema lies between 0 and 1 (0.998), not {self.ema}.")


@dataclass(frozen=True)
class PhantomData:
    """Generated phantoms as training data.

    Args:
        train, validation: how many of each.
        seed: of the first training phantom; validation phantoms use other seeds and are never trained on.
        fixed: fields of ``PhantomSpec`` that are not drawn at random (``shape``, ``spacing`` ...).
        slices: axial slices taken of each phantom (scores only).
    """

    train: int = 0
    validation: int = 0
    seed: int = 1
    fixed: dict = field(default_factory=dict)
    slices: int = 6


@dataclass(frozen=True)
class DataNote:
    """One source of training data, as the model card lists it."""

    name: str
    licence: str
    citation: str


@dataclass(frozen=True)
class BundleConfig:
    """What the packed bundle says about itself (see :mod:`.packing`).

    Args:
        name: of the bundle. description: a paragraph for the model card. version: of the bundle.
        notice: shown with every result. validated: on patients.
        training_data: its sources. licence: of the weights.
    """

    name: str
    description: str
    version: str = "1.0.0"
    notice: str = "Not clinically validated."
    validated: bool = False
    training_data: tuple[DataNote, ...] = ()
    licence: str = "Apache-2.0"


def one_of(where: str, value: str, choices: Sequence[str]) -> None:
    """Raises SettingsError unless ``value`` is one of ``choices``; ``where`` is the key it stands at."""
    if value not in choices:
        raise SettingsError(f"{where} is one of {', '.join(choices)}, not {value!r}.")


def read_yaml(path: str | Path, overrides: Sequence[str] = ()) -> dict:
    """The values of a configuration file, with ``overrides`` applied and ``${NAME}`` replaced.

    Args:
        path: a YAML file, or the name of a preset (``s_net_starter``).
        overrides: ``key.key=value`` strings; the value is read as YAML.

    Raises:
        SettingsError: no such file, not YAML, not a mapping, or an unknown ``${NAME}``.
    """
    import yaml

    path = Path(path)
    if not path.is_file() and (PRESETS / f"{path.name.removesuffix('.yaml')}.yaml").exists():
        path = PRESETS / f"{path.name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.yaml")))
        raise SettingsError(f"There is no configuration {path}. The presets are: {known}.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not a readable YAML file: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{path.name} must hold keys and values.")
    for override in overrides:
        _apply(values, override)
    return _expanded(values)


def _apply(values: dict, override: str) -> None:
    import yaml

    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise SettingsError(f"--set needs key=value (training.minutes=10), not {override!r}.")
    place = values
    for part in parts[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {override}: {part} holds a value, not keys.")
    try:
        place[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {override}: the value is not readable: {error}") from error


def _expanded(value):
    if isinstance(value, dict):
        return {k: _expanded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_expanded(v) for v in value]
    return expand(value) if isinstance(value, str) else value


def expand(text: str) -> str:
    """``text`` with ``${NAME}`` replaced from the environment; ``${PRESETS}`` is the folder of the presets.

    Raises:
        SettingsError: the environment has no such variable.
    """

    def replacement(match: re.Match) -> str:
        name = match.group(1)
        value = str(PRESETS) if name == "PRESETS" else os.environ.get(name)
        if value is None:
            raise SettingsError(f"{text!r} needs the environment variable {name}: set it to the folder that is meant.")
        return value

    return re.sub(r"\$\{(\w+)\}", replacement, text)


def build(cls: type, values: Mapping, where: str = ""):
    """A configuration dataclass from plain values, strictly.

    Raises:
        SettingsError: an unknown key, a missing key, or a value of the wrong type; the message names the key.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where or 'The configuration'} must hold keys and values, not {values!r}.")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}
    prefix = f"{where}." if where else ""
    unknown = [key for key in values if key not in fields]
    if unknown:
        raise SettingsError(f"Unknown key {prefix}{unknown[0]}. Known here: {', '.join(fields)}.")
    result = {}
    for name, info in fields.items():
        if name in values:
            result[name] = _typed(values[name], hints[name], f"{prefix}{name}")
        elif info.default is dataclasses.MISSING and info.default_factory is dataclasses.MISSING:
            raise SettingsError(f"The key {prefix}{name} is missing.")
    return cls(**result)


def _typed(value, hint, where: str):
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        choices = typing.get_args(hint)
        if value is None and type(None) in choices:
            return None
        errors = []
        for choice in (c for c in choices if c is not type(None)):
            try:
                return _typed(value, choice, where)
            except SettingsError as error:
                errors.append(error)
        raise errors[0]
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)
    if origin is tuple:
        kinds = typing.get_args(hint)
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{where} must be a list, not {value!r}.")
        if kinds[-1] is Ellipsis:
            return tuple(_typed(v, kinds[0], where) for v in value)
        if len(value) != len(kinds):
            raise SettingsError(f"{where} needs {len(kinds)} values, not {len(value)}.")
        return tuple(_typed(v, k, where) for v, k in zip(value, kinds, strict=True))
    kind = origin or hint
    if kind is float and isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            pass
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise SettingsError(f"{where} must be of type {kind.__name__}, not {value!r}.")
    return value


def to_plain(value):
    """A configuration as plain values that YAML and JSON can write."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    return value
