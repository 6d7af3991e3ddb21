"""What a process that codes video may use, and sets for the whole of itself. Importing CMVC sets nothing."""

import ctypes
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of cgroups v2, and v1
_FEW_ARENAS = (-8, 1)  # M_ARENA_MAX of glibc


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Return how many bytes of memory this process may use: its container's, or all that the machine has."""
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in _MEMORY_LIMITS:
        with suppress(OSError, ValueError):  # there is none, or it says "max"
            most = min(most, int(Path(name).read_text()))
    return most


@cache
def prepare() -> None:
    """Set up this process, before it has threads: for servers, models within Triton and clients without a target.

    More calls change nothing.

    SVT-AV1, which writes to stderr by itself, is told to tell of errors only, unless ``SVT_LOG`` says otherwise.
    Each encode and decode has threads of its own. An allocator that gives every thread an arena keeps some of what
    each of them had; one arena for all halves the memory that the process holds, and costs no time that could be
    measured.
    """
    os.environ.setdefault("SVT_LOG", "1")
    with suppress(AttributeError, OSError):  # other C libraries have no such setting
        ctypes.CDLL(None).mallopt(*_FEW_ARENAS)
