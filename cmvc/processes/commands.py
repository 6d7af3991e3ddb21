"""What a process that forks workers is told: a command and the number of the worker that it is about."""

import struct

COMMAND = struct.Struct("=cQ")
FORK = b"f"  # with the file descriptors of a connection and of whatever else the worker is given
KILL = b"k"
MOST_DESCRIPTORS = 4
