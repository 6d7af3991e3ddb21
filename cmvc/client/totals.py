"""How many frames a decode will give, for those who show how far it is."""

import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cmvc.bitstream.stream import StreamReader
from cmvc.bitstream.work import frames_asked_for
from cmvc.errors import CmvcError
from cmvc.v1 import decoder_pb2


def frames_of(source: Any, config: decoder_pb2.DecodeConfig) -> int:
    """Return how many frames ``config`` asks for of the stream ``source``, by its trailer; 0 where that is not known.

    Only files and bytes are looked into: whatever else is read once. What is wrong with them the decode tells.
    """
    with suppress(CmvcError, OSError):
        if isinstance(source, bytes | bytearray | memoryview):
            return frames_asked_for(StreamReader(io.BytesIO(source)), config)
        if isinstance(source, str | os.PathLike) and Path(source).is_file():
            with Path(source).open("rb") as file:
                return frames_asked_for(StreamReader(file), config)
    return 0
