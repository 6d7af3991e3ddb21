"""Memory that processes share, behind a file descriptor."""

import fcntl
import os
import sys
import tempfile


def shared_memory(name: str, size: int) -> int:
    """Return a file descriptor of ``size`` bytes of zeros, which take no memory before they are written.

    On Linux nobody who has it can change its size: whoever reads it may rely on that.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
        return descriptor
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor
