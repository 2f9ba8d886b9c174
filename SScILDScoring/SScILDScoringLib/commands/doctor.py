"""Whether everything scoring needs is here and well: ``sscild doctor``."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import __version__

STATES = ("ok", "warning", "problem")
_NEEDED = ("numpy", "torch", "SimpleITK", "pydicom", "safetensors", "typer", "rich", "jinja2", "pillow")
_GIB = 1024**3
_LEAST_MEMORY_GIB = 4
_LEAST_DISK_GIB = 1

# Transfer syntaxes that scanners and archives use.
_SYNTAXES = {
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.70": "JPEG lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.5": "RLE",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what.
        state: ``ok``, ``warning`` (scoring works, something is worse than it could be) or ``problem``.
        message: what was found.
        advice: what to do; empty when all is well.
    """

    name: str
    state: str
    message: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}, not {self.state!r}")

    def to_dict(self) -> dict:
        """Plain values."""
        return asdict(self)


def examine() -> list[Check]:
    """Looks at everything; a check that fails itself becomes a problem, the others go on."""
    checks: list[Check] = []
    examinations: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("software", _software),
        ("device", _device),
        ("memory", _memory),
        ("models", _models),
        ("DICOM", _decoders),
        ("folders", _folders),
    )
    for name, examination in examinations:
        try:
            checks.extend(examination())
        except Exception as error:  # a broken installation can raise anything here, and that is the answer
            message = f"could not be examined ({type(error).__name__}: {str(error)[:200]})"
            checks.append(Check(name, "problem", message, "Install the software again."))
    return checks


def _software() -> Iterator[Check]:
    yield Check("SScILDScoring", "ok", __version__)
    yield Check("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    found, missing = [], []
    for name in _NEEDED:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check("packages", "problem", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}")
    yield Check("packages", "ok", ", ".join(found))
    yield _passes()


def _passes() -> Check:
    from ..heatmaps.incremental.ways import compiled_ways

    if compiled_ways() is not None:
        return Check("heat maps", "ok", f"compiled passes, numba {importlib.metadata.version('numba')}")
    advice = "pip install 'numba>=0.61' makes them up to a fifth faster on a processor."
    return Check("heat maps", "warning", "without compiled passes: numba is not here or does not work", advice)


def _device() -> Iterator[Check]:
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            message = f"{facts.name}, {facts.total_memory / _GIB:.0f} GiB, CUDA {torch.version.cuda}"
            yield Check(f"cuda:{number}", "ok", message)
    elif shutil.which("nvidia-smi"):
        yield Check(
            "cuda",
            "warning",
            "this computer seems to have an NVIDIA card, but PyTorch cannot use it",
            "Install PyTorch with CUDA (pytorch.org), or go on: the CPU works, more slowly.",
        )
    if torch.backends.mps.is_available():
        yield Check("mps", "ok", "Apple graphics processor; only used when --device mps asks for it (untested)")
    yield _processor()


def _processor() -> Check:
    import torch

    from ..devices import available_cores, device_name

    units = processor_units()
    threads, cores = torch.get_num_threads(), available_cores()
    message = f"{device_name('cpu')} on {cores} core{'s' if cores != 1 else ''}; {', '.join(units) or 'basic'}"
    if threads > cores:
        advice = f"Set OMP_NUM_THREADS={cores}: more threads than cores slow each other down."
        return Check("cpu", "warning", message, advice)
    if platform.machine().lower() in ("x86_64", "amd64") and not {"AVX2", "AVX-512"} & set(units):
        return Check("cpu", "warning", message, "Expect heat maps to take several times as long as published here.")
    return Check("cpu", "ok", message)


def processor_units() -> list[str]:
    """What speeds networks up on this processor, the best first: AMX, AVX-512 with bfloat16, AVX-512, AVX2, NEON."""
    import torch

    flags: set[str] = set()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
        line = next((row for row in text.splitlines() if row.startswith(("flags", "Features"))), "")
        flags = set(line.partition(":")[2].split())
    named = {"amx_bf16": "AMX bfloat16", "avx512_bf16": "AVX-512 bfloat16", "avx512f": "AVX-512", "avx2": "AVX2"}
    units = [title for flag, title in named.items() if flag in flags]
    if not units:  # not Linux: what PyTorch says
        capability = torch.backends.cpu.get_cpu_capability()
        units = {"AVX512": ["AVX-512"], "AVX2": ["AVX2"]}.get(capability, [])
        if platform.machine().lower() in ("arm64", "aarch64"):
            units = ["NEON"]
    return units


def _memory() -> Iterator[Check]:
    total, free = memory_bytes()
    if total is None:
        yield Check("memory", "ok", "unknown")
        return
    message = f"{total / _GIB:.1f} GiB" + (f", {free / _GIB:.1f} GiB free" if free is not None else "")
    if (free if free is not None else total) < _LEAST_MEMORY_GIB * _GIB:
        advice = f"Large scans need up to {_LEAST_MEMORY_GIB} GiB; close other programs."
        yield Check("memory", "warning", message, advice)
    else:
        yield Check("memory", "ok", message)


def memory_bytes() -> tuple[int | None, int | None]:
    """Bytes of memory in all and free for programs, each None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        rows = dict(row.split(":", 1) for row in meminfo.read_text(encoding="utf-8").splitlines() if ":" in row)
        total, free = (int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
        return total, free
    if sys.platform == "win32":
        return _windows_memory()
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    except (ValueError, OSError, AttributeError):
        return None, None


def _windows_memory() -> tuple[int | None, int | None]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong)] + [
            (name, ctypes.c_ulonglong)
            for name in ("total", "free", "total_page", "free_page", "total_virtual", "free_virtual", "extended")
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None, None
    return int(status.total), int(status.free)


def _models() -> Iterator[Check]:
    from ..errors import ModelError
    from ..models import default_bundle, list_bundles

    for kind, name in (("s_net", "score network"), ("l_net", "level network")):
        try:
            bundle = default_bundle(kind)
        except ModelError as error:
            yield Check(name, "problem", str(error), "Install it again, or choose another: sscild models use NAME")
            continue
        if bundle is not None:
            state = f"{bundle.name} {bundle.version}, SHA-256 {bundle.sha256[:12]}... as it should be"
            yield Check(name, "ok", state + (f". {bundle.notice}" if bundle.notice else ""))
        elif kind == "s_net":
            yield Check(name, "problem", "none is here", "Install one: sscild models install FOLDER --use")
        else:
            advice = "Levels come from the anatomy. Install one: sscild models install FOLDER --use"
            yield Check(name, "warning", "none is here", advice)
    for entry in list_bundles():
        if entry.error:
            advice = f"Install it again, or remove it: sscild models remove {entry.name}"
            yield Check(f"model {entry.name}", "warning", entry.error, advice)


def _decoders() -> Iterator[Check]:
    from pydicom.pixels import get_decoder

    readable, missing = [], []
    for uid, title in _SYNTAXES.items():
        (readable if get_decoder(uid).is_available else missing).append(title)
    if missing:
        yield Check(
            "DICOM decoders",
            "warning",
            f"cannot read {', '.join(missing)}; can read uncompressed, {', '.join(readable)}",
            "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg",
        )
    else:
        yield Check("DICOM decoders", "ok", f"uncompressed, {', '.join(readable)}")


def _folders() -> Iterator[Check]:
    from ..models import user_folder

    folder = user_folder()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            yield Check("models folder", "ok", str(folder))
    except OSError as error:
        advice = "Networks cannot be installed there; name the folder of a bundle instead (--s-net, SSCILD_MODELS)."
        yield Check("models folder", "warning", f"{folder}: {error.strerror or error}", advice)
    for name, path in (("disk, models", place), ("disk, temporary", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(path).free / _GIB
        if free < _LEAST_DISK_GIB:
            yield Check(name, "warning", f"{free:.1f} GiB free", f"Make room: {_LEAST_DISK_GIB} GiB should be free.")
        else:
            yield Check(name, "ok", f"{free:.0f} GiB free")
