"""Whether a process that was noted down some time ago is still there, and not another one of the same number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def process_mark(pid: int) -> str | None:
    """When process ``pid`` was started, as text that tells it from a later one of the same number.

    None: there is no such process (or only what is left of one until its parent looks). The text is empty where the
    system does not tell.
    """
    if sys.platform == "win32":
        return _windows_mark(pid)
    if Path("/proc/self/stat").exists():
        try:
            # The name, in brackets, may hold anything; what follows it is fixed.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return ""
    try:
        command = ["ps", "-o", "lstart=", "-o", "stat=", "-p", str(int(pid))]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    started, _, state = shown.strip().rpartition(" ")
    return None if state.startswith("Z") else started.strip()


def _windows_mark(pid: int) -> str | None:
    import ctypes
    from ctypes import wintypes

    query_limited, still_active = 0x1000, 259
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(query_limited, False, int(pid))
    if not handle:
        return "" if ctypes.get_last_error() == 5 else None  # 5: it is there and somebody else's
    try:
        code = wintypes.DWORD()
        if kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code)) and code.value != still_active:
            return None
        times = [wintypes.FILETIME() for _ in range(4)]
        if not kernel.GetProcessTimes(wintypes.HANDLE(handle), *map(ctypes.byref, times)):
            return ""
        return str((times[0].dwHighDateTime << 32) + times[0].dwLowDateTime)
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
