"""What the process that forks workers is told: a command and the number of the worker that it is about."""

import struct

COMMAND = struct.Struct("=cQ")
FORK = b"f"  # with the file descriptors of a connection and of shared memory
KILL = b"k"
