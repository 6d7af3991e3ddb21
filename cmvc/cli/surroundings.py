"""What the command line makes of odd surroundings: closed standard streams, other encodings, stray variables."""

import os
import sys
from contextlib import suppress

_NOT_FOR_US = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")


def prepare() -> None:
    """Set up this process; before anything else is opened or imported.

    - Descriptors 0 to 2 that are closed lead to nowhere: else the next file opened would get one, and with it what
      libraries write to standard error.
    - What an encoding cannot show, such as box drawing in Latin-1, is shown as a question mark.
    - Each of our servers is one process. A variable that has Prometheus' client share metrics between several is some
      other program's, and its folder may not be there.
    - Unless told otherwise gRPC's core writes to standard error what it makes of broken connections, in the middle of
      what a command prints. What matters of it comes as errors.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper at this time
    for name in _NOT_FOR_US:
        os.environ.pop(name, None)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # read when the first channel is opened


def flush() -> bool:
    """Write out what is left; return whether it went. Where it did not, Python does not try again on its way out."""
    went = True
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            went = False
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return went
