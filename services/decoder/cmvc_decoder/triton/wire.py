"""What decoder and Triton say to each other: names of tensors, pictures as bytes, errors as text.

| tensor | type and shape | meaning |
|---|---|---|
| SEGMENT | UINT8 [bytes] | in: a serialised ``DecodeSegmentRequest``; ``CANARY`` asks for a sign of life |
| PROGRESS | INT32 [2] | out: denoising steps done and in all; repeated every second, so that silence means death |
| NOTE | UINT8 [bytes] | out: what the user should know, in UTF-8, before the frames |
| TAIL | UINT8 [bytes] | out: what the next segment goes on from, before the frames; see ``cmvc.records.Tail`` |
| FRAMES | UINT8 [frames, bytes] | out: pictures, their planes y, u, v back to back |
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmvc.errors import BackendUnavailableError, CmvcError, OverloadedError, ServerError, error_classes
from cmvc.media.picture import Picture, chroma_size

SEGMENT, PROGRESS, NOTE, TAIL, FRAMES = "SEGMENT", "PROGRESS", "NOTE", "TAIL", "FRAMES"
CANARY = b"\0"  # no request serialises to this
ONE_RESPONSE = "one_response"  # request parameter: all frames in one response, as shared memory needs it
HEARTBEATS = "CMVC_HEARTBEATS"  # environment: start of the names of the files that models touch at every step
RESPONSE_BYTES = 8 << 20  # of frames in one response, about
_REASON = re.compile(r"(?:\[request id: [^]]*\] )?([A-Z_]+): (.*)", re.DOTALL)
_FULL = "Exceeds maximum queue size"
_GONE = (
    "is not healthy",
    "failed to connect",
    "UNAVAILABLE",
    "Socket closed",
    "is not ready",
    "Connection",
    "no longer in valid state",  # a stream that ended before the request went out
)


def picture_bytes(width: int, height: int) -> int:
    """Return the size of a picture on the wire."""
    across, down = chroma_size(width, height)
    return width * height + 2 * across * down


def pack(pictures: Sequence[Picture]) -> NDArray[np.uint8]:
    """Return pictures of one size as (pictures, bytes)."""
    return np.stack([np.concatenate([plane.ravel() for plane in picture.planes]) for picture in pictures])


def unpack(row: NDArray[np.uint8], width: int, height: int) -> Picture:
    """Return the picture that a row of ``pack`` stands for.

    Raises:
        ServerError: the row is of another size.
    """
    if row.size != picture_bytes(width, height):
        raise ServerError(f"Triton sent a picture of {row.size} bytes for {width}x{height}; is it of another version?")
    across, down = chroma_size(width, height)
    y, u, v = np.split(row, [width * height, width * height + across * down])
    return Picture(y.reshape(height, width), u.reshape(down, across), v.reshape(down, across))


def error_text(error: CmvcError) -> str:
    """Return what ``read_error`` takes for ``error``."""
    return f"{error.reason}: {error}"


def read_error(text: str, target: str) -> CmvcError:
    """Return the error that Triton at ``target`` tells of: the model's own, or one of Triton's."""
    match = _REASON.fullmatch(text)
    kind = error_classes().get(match[1]) if match else None
    if match and kind:
        return kind(match[2])
    if _FULL in text:
        return OverloadedError(f"Triton at {target} has as much in line as it takes; try again in a second")
    if any(sign in text for sign in _GONE):
        return BackendUnavailableError(f"Triton at {target} is down, or the model in it ({text})")
    return ServerError(f"Triton at {target} failed ({text}); its log says more")
