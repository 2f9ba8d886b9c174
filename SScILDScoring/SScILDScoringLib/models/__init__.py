"""Model bundles: the door through which the rest of the software reaches them.

``bundle.py`` reads one, ``metadata.py`` knows what stands in it, ``writing.py`` makes one, ``store.py`` knows where
they are kept, ``installation.py`` brings them there and away, ``card.py`` writes the page about one.
"""

from __future__ import annotations

from .bundle import ModelBundle
from .installation import install, remove
from .metadata import BundleMetadata
from .store import (
    BundleListing,
    bundled_folders,
    choose_default,
    chosen_defaults,
    default_bundle,
    find_bundle,
    list_bundles,
    user_folder,
)
from .writing import write_bundle

__all__ = [
    "BundleListing",
    "BundleMetadata",
    "ModelBundle",
    "bundled_folders",
    "choose_default",
    "chosen_defaults",
    "default_bundle",
    "find_bundle",
    "install",
    "list_bundles",
    "remove",
    "user_folder",
    "write_bundle",
]
