"""Model bundles: the door through which the rest of the software reaches them.

``model_bundle.py`` reads one, ``bundle_metadata.py`` knows what stands in it, ``bundle_writing.py`` makes one,
``bundle_store.py`` knows where they are kept, ``bundle_install.py`` brings them there and away, ``model_card.py``
writes the page about one.
"""

from __future__ import annotations

from .bundle_install import install, remove
from .bundle_metadata import BundleMetadata
from .bundle_store import (
    BundleListing,
    bundled_folders,
    choose_default,
    chosen_defaults,
    default_bundle,
    find_bundle,
    list_bundles,
    user_folder,
)
from .bundle_writing import write_bundle
from .model_bundle import ModelBundle

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
