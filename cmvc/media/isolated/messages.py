"""What the process that reads media and the one that asked for it say to each other.

Bytes that are parsed and checked, never objects that are unpickled: who has taken over the one has not the other.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import IntEnum
from fractions import Fraction
from typing import Any

from cmvc.errors import CmvcError, InvalidSettingError, LimitError, MediaCrashedError, MediaError, NoVideoError
from cmvc.limits import Limits
from cmvc.media.reader import VideoInfo
from cmvc.plain import one_line
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import encoder_pb2

MOST_BYTES = 8 << 20  # of a message
READ_BYTES = 1 << 20  # of the source, asked for at once
SLOTS = 4  # pictures that are on their way
_NOTES = 100
_ERRORS = {each.reason: each for each in (MediaError, NoVideoError, LimitError, InvalidSettingError, MediaCrashedError)}


def slot_bytes(pixels: int) -> int:
    """Return how much room the largest picture of ``pixels`` takes: half as many for chroma, and its odd edges."""
    return pixels * 3 // 2 + (1 << 16)


class Kind(IntEnum):
    """What a message is; its first byte."""

    READ = 0  # the child wants bytes of the source: position, size (each 8 bytes)
    BEAT = 1  # it is at work
    OPENED = 2  # the video is open: what holds for it
    PICTURE = 3  # the next picture is in a slot (1 byte)
    AGAIN = 4  # the next picture is the last one
    SOUND = 5  # the next packet of sound: its index (8 bytes) and its bytes
    ENDED = 6  # there are no more: the notes
    FAILED = 7  # it cannot go on: the error
    DATA = 8  # the parent has bytes of the source; none at its end
    FREE = 9  # it has taken a picture out of its slot


@dataclass(frozen=True)
class Order:
    """What is to be read; see ``open_video``.

    Attributes:
        size: of a source that can seek, in bytes; None for one that cannot.
    """

    audio: encoder_pb2.AudioConfig | None
    metadata: bool
    limits: Limits
    look: Fraction
    start: float
    duration: float
    size: int | None

    def pack(self) -> bytes:
        """Return it as bytes."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said |= {"audio": _hex(self.audio), "limits": asdict(self.limits), "look": str(self.look)}
        return json.dumps(said).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Order":
        """Return what the parent has packed."""
        said = json.loads(data)
        limits: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said["limits"].items()
        }
        audio = encoder_pb2.AudioConfig.FromString(bytes.fromhex(said["audio"])) if said["audio"] is not None else None
        return cls(**said | {"audio": audio, "limits": Limits(**limits), "look": Fraction(said["look"])})


@dataclass(frozen=True)
class Opened:
    """A video that is open.

    Attributes:
        info: what holds for the whole video.
        has_sound: whether the source has a track of sound.
        notes: so far.
    """

    info: VideoInfo
    has_sound: bool
    notes: list[str]

    def pack(self) -> bytes:
        """Return it as bytes."""
        info = {field.name: getattr(self.info, field.name) for field in fields(self.info)}
        info |= {name: str(info[name]) for name in ("frame_rate", "pixel_aspect")}
        info |= {name: _hex(info[name]) for name in ("audio_track", "metadata")}
        return json.dumps({"info": info, "has_sound": self.has_sound, "notes": self.notes}).encode()

    @classmethod
    def unpack(cls, data: bytes, limits: Limits) -> "Opened":
        """Return what a child has packed, whoever is in it.

        Raises:
            ValueError, TypeError, KeyError, ArithmeticError: it makes no sense.
            LimitError: the pictures are too large.
        """
        said = json.loads(data)
        info = said["info"]
        track, metadata, estimate = info["audio_track"], info["metadata"], info["frames_estimate"]
        rate = info["source_audio_rate"]
        opened = VideoInfo(
            width=limits.check("width", _count(info["width"])),
            height=limits.check("height", _count(info["height"])),
            frame_rate=Fraction(info["frame_rate"]),
            pixel_aspect=Fraction(info["pixel_aspect"]),
            color_primaries=limits.check("code_point", int(info["color_primaries"])),
            color_transfer=limits.check("code_point", int(info["color_transfer"])),
            color_matrix=limits.check("code_point", int(info["color_matrix"])),
            full_range=bool(info["full_range"]),
            frames_estimate=None if estimate is None else _count(estimate),
            audio_track=None if track is None else pb.AudioTrack.FromString(bytes.fromhex(track)),
            metadata=None if metadata is None else pb.Metadata.FromString(bytes.fromhex(metadata)),
            source_audio_rate=None if rate is None else float(rate),
        )
        limits.check("pixels", opened.width * opened.height)
        if opened.frame_rate <= 0 or opened.pixel_aspect <= 0:
            raise ValueError("no rate")
        return cls(opened, bool(said["has_sound"]), _shown(said["notes"]))


def pack_notes(notes: list[str]) -> bytes:
    """Return notes as bytes."""
    return json.dumps(notes).encode()


def unpack_notes(data: bytes) -> list[str]:
    """Return the notes that a child has packed, whoever is in it.

    Raises:
        ValueError, TypeError: they make no sense.
    """
    return _shown(json.loads(data))


def _shown(notes: Sequence[object]) -> list[str]:
    return [one_line(str(note)) for note in notes[:_NOTES]]


def pack_error(error: CmvcError) -> bytes:
    """Return an error as bytes."""
    return json.dumps({"reason": error.reason, "message": str(error), "field": error.field}).encode()


def unpack_error(data: bytes) -> CmvcError:
    """Return the error that a child has packed, whoever is in it.

    Raises:
        ValueError, TypeError, KeyError: it makes no sense.
    """
    said = json.loads(data)
    return _ERRORS[said["reason"]](str(said["message"]), field=one_line(str(said["field"])))


def _hex(message: encoder_pb2.AudioConfig | pb.AudioTrack | pb.Metadata | None) -> str | None:
    return None if message is None else message.SerializeToString().hex()


def _count(value: str | float) -> int:
    count = int(value)
    if count < 1:
        raise ValueError(f"{count} of them")
    return count
