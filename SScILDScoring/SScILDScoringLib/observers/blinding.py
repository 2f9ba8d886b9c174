"""Blinded identifiers, and copies of scans and heat maps that tell nobody whose they are.

What blinding does: a reader's files hold no case names, no paths, no patient data, no network scores, no hint which
case is shown twice, and no time stamps in the cohort's order. What it cannot do: a scan is still the patient's scan, so
somebody who knows the images recognises them, and somebody who has the cohort's files or table can match voxels, sizes
or level positions; text burned into the pixels stays; two showings of a case have equal voxels; and a heat map of a
rating study shows what the network found. The key is kept from readers by where it lies and by its file's rights, not
by encryption: on a computer that reader and owner share, it belongs into a folder the reader cannot open (``--key``).
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import SScILDError
from ..files import replacing
from ..levels import Level
from ..progress import Progress
from ..scan import load_scan
from ..scores import Pattern
from .errors import ObserverError

_LETTERS = "23456789BCDFGHJKMNPQRSTVWXYZ"
"""No vowels, 0, 1, I, L, O: neither words nor mistakes when somebody writes an identifier down."""
_LENGTH = 4
_DAY = 946_684_800  # 1 January 2000: every copy has this time
_DESCRIPTION = slice(148, 228)  # NIfTI's descrip


def digest(seed: int, purpose: str, *parts: object) -> bytes:
    """32 bytes that follow from the seed and do not give it back."""
    return hashlib.sha256("\0".join(("sscild study", str(seed), purpose, *map(str, parts))).encode()).digest()


def blinded_ids(seed: int, names: Iterable[str]) -> dict[str, str]:
    """An identifier of four letters and digits for each of ``names``; it does not depend on their order.

    With a seed that is easy to guess, somebody who has the list of cases can compute them as well; a study's seed is
    drawn by chance unless one is given, and only the key has it.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        attempt = 0
        while (identifier := _identifier(digest(seed, "id", name, attempt))) in taken:
            attempt += 1
        found[name] = identifier
        taken.add(identifier)
    return found


def copy_scan(source: Path, target: Path, progress: Progress) -> None:
    """Writes voxels and geometry of a scan, and nothing else of it, as NIfTI (``.nii.gz``) in canonical orientation.

    Raises:
        ObserverError: the scan cannot be read; the message names it, since it is for the study's owner.
        SettingsError: the copy cannot be written.
    """
    from ..phantom.nifti import write_volume

    try:
        scan = load_scan(source, progress=progress)
    except SScILDError as error:
        raise ObserverError(f"{source}: {error}") from error
    with replacing(target) as temporary:
        plain = temporary.with_suffix("").with_suffix(".nii")
        try:
            write_volume(plain, scan.voxels, scan.ras_from_index)
            with plain.open("rb") as volume, temporary.open("wb") as raw:
                header = bytearray(volume.read(352))
                header[_DESCRIPTION] = bytes(80)
                with gzip.GzipFile("", "wb", compresslevel=2, fileobj=raw, mtime=0) as packed:
                    packed.write(header)
                    while block := volume.read(1 << 22):
                        packed.write(block)
        finally:
            plain.unlink(missing_ok=True)
        without_time(temporary)


def copy_maps(source: Path, target: Path, patterns: Sequence[Pattern]) -> None:
    """Writes the heat maps' values and geometry, and nothing else of their files, as NRRD.

    Raises:
        ObserverError: a map is missing or cannot be read. SettingsError: a copy cannot be written.
    """
    import SimpleITK as sitk

    for name in map_names(patterns):
        try:
            image = sitk.ReadImage(str(source / name))
        except RuntimeError as error:
            raise ObserverError(f"The heat map {source / name} cannot be read.") from error
        for key in image.GetMetaDataKeys():
            image.EraseMetaData(key)
        with replacing(target / name) as temporary:
            try:
                sitk.WriteImage(image, str(temporary), True)
            except RuntimeError as error:
                raise ObserverError(f"{target / name} cannot be written; is the disk full?") from error
            without_time(temporary)


def map_names(patterns: Sequence[Pattern]) -> list[str]:
    """The files of a case's heat maps, as :func:`~SScILDScoringLib.heatmaps.map_files.write_heat_maps` names them."""
    return [f"level_{level:d}_{pattern.value}.nrrd" for level in Level for pattern in patterns]


def without_time(path: Path) -> None:
    """Sets a file's times to one day for all: else they tell the order in which the copies were made."""
    os.utime(path, (_DAY, _DAY))


def _identifier(value: bytes) -> str:
    number = int.from_bytes(value, "big")
    letters = []
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "".join(letters)
