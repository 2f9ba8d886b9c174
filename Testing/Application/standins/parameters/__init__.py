"""``slicer.parameterNodeWrapper``: typed parameters of a module, kept as text and references in a MRML node.

The subset a module panel uses, written from the documented behaviour: the same types, defaults, validators, storage
keys (a scene saved with Slicer's own wrapper reads the same here), errors and widget connections.
"""

from standins.parameters.gui import Decimals, SingleStep
from standins.parameters.packs import FloatRange, isParameterPack, parameterPack
from standins.parameters.validators import (
    Choice,
    Default,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    Validator,
    WithinRange,
)
from standins.parameters.wrapper import SlicerParameterNamePropertyName, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "FloatRange",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "RangeBounds",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "isParameterPack",
    "parameterNodeWrapper",
    "parameterPack",
]
