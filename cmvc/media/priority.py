"""Keeps SVT-AV1's threads at the usual priority.

SVT-AV1 gives each of its threads real-time priority (``SCHED_FIFO``, 99) where it runs as root, as in many containers
and CI jobs: everything else on the machine then stands still while it encodes. It does not mind when that is not
allowed, so it is not allowed while an encoder opens and makes its threads.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VERSION_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3 of <linux/capability.h>: two words of 32 capabilities each
_SYS_NICE = 1 << 23  # CAP_SYS_NICE, in the first word


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Word(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


@contextmanager
def usual_priority() -> Iterator[None]:
    """Within the block, neither this thread nor those that it makes may take real-time priority; the latter for good.

    Does nothing where the thread may not anyway, and on systems other than Linux, where SVT-AV1 does not ask for it.
    """
    words = _capabilities()
    if words is None or not words[0].effective & _SYS_NICE:
        yield
        return
    words[0].effective &= ~_SYS_NICE
    _set(words)
    try:
        yield
    finally:
        words[0].effective |= _SYS_NICE
        _set(words)


def _capabilities() -> "ctypes.Array[_Word] | None":
    """Return this thread's, None where there is no such thing. See capget(2)."""
    if sys.platform != "linux":
        return None
    words = (_Word * 2)()
    failed = ctypes.CDLL(None).capget(ctypes.byref(_Header(_VERSION_3, 0)), words)
    return None if failed else words


def _set(words: "ctypes.Array[_Word]") -> None:
    """Cannot fail: nothing is asked for that is not permitted."""
    ctypes.CDLL(None).capset(ctypes.byref(_Header(_VERSION_3, 0)), words)
