"""AV1 streams for tests: by the encoders at hand, and drawn at random along the syntax."""

import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from av.video.frame import PictureType

from cmvc.bitstream.av1pack.bits import BitWriter
from cmvc.bitstream.av1pack.coding import leb128
from cmvc.bitstream.av1pack.kinds import FLAG, Kind
from cmvc.bitstream.av1pack.stream import Copy, End, ObuType, Stream
from cmvc.bitstream.obu import without_temporal_delimiters
from cmvc.media.priority import usual_priority

RATE = Fraction(24)


def moving(count: int, width: int = 64, height: int = 64, zoom: float = 0.004) -> list[np.ndarray]:
    """Return the luma of a texture that zooms and drifts, with a brighter square that moves on its own."""
    rows, columns = np.mgrid[0:height, 0:width]
    found = []
    for t in range(count):
        x, y = columns * (1 + zoom * t) + 0.8 * t, rows * (1 + zoom * t) + 0.3 * t
        luma = 120 + 40 * np.sin(x / 3.1) * np.cos(y / 4.3) + 30 * np.sin((x + 2 * y) / 9)
        left = 3 * t % (width - 16)
        luma[16:32, left : left + 16] += 50
        found.append(np.clip(luma, 16, 235).astype(np.uint8))
    return found


def svt(lumas: Sequence[np.ndarray], preset: int, parameters: str = "crf=50") -> bytes:
    """Return a stream of SVT-AV1 in the ``av`` wheel, without temporal delimiters."""
    context = av.CodecContext.create("libsvtav1", "w")
    assert isinstance(context, av.VideoCodecContext)
    context.height, context.width = lumas[0].shape
    context.pix_fmt, context.framerate, context.time_base = "yuv420p", RATE, 1 / RATE
    context.options = {"preset": str(preset), "svtav1-params": f"lp=1:scd=0:{parameters}"}
    with usual_priority():
        context.open()
    packets: list[bytes] = []
    for number, luma in enumerate(lumas):
        frame = av.VideoFrame.from_ndarray(luma, "gray").reformat(format="yuv420p")
        frame.pts, frame.time_base, frame.pict_type = number, context.time_base, PictureType.NONE
        packets += map(bytes, context.encode(frame))
    packets += map(bytes, context.encode(None))
    return without_temporal_delimiters(b"".join(packets))


def by_ffmpeg(path: Path, lumas: Sequence[np.ndarray], *options: str) -> bytes:
    """Return what an encoder of ``imageio-ffmpeg`` makes, temporal delimiters included, and leave it at ``path``."""
    height, width = lumas[0].shape
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray"]
    command += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-", "-pix_fmt", "yuv420p", *options]
    subprocess.run([*command, "-f", "obu", str(path)], input=b"".join(luma.tobytes() for luma in lumas), check=True)
    return path.read_bytes()


class Drawing:
    """Writes elements with values that it draws: what the syntax allows, without sense for pictures."""

    def __init__(self, draw: Callable[[int, int], int], fixed: dict[str, int] | None = None) -> None:
        """Draw with ``draw``, which gives a number from the first to the second; elements in ``fixed`` are given."""
        self._draw = draw
        self._fixed = fixed or {}
        self.writer = BitWriter()

    def code(self, name: str, kind: Kind, *at: int) -> int:
        """Draw and write an element."""
        value = self._fixed.get(name, -1)
        if value < 0:
            value = self._draw(kind.low, kind.high)
        kind.write(self.writer, value)
        return value

    def flag(self, name: str, *at: int) -> int:
        """Draw and write an element of one bit."""
        return self.code(name, FLAG, *at)

    @property
    def position(self) -> int:
        """Where it is in the OBU."""
        return self.writer.position

    def since(self, position: int) -> Copy:
        """Return the bits from ``position`` on."""
        return self.writer.since(position)

    def same(self, name: str, copy: Copy) -> bool:
        """Repeat frame headers, which must be the same."""
        if name == "same_frame_header":
            self.writer.write(*copy)
            return True
        return False

    def align(self) -> None:
        """Write zeros up to the next byte."""
        self.writer.write(-self.writer.position & 7, 0)


def drawn(draw: Callable[[int, int], int], kinds: Sequence[int], fixed: dict[str, int] | None = None) -> bytes:
    """Return OBUs of these types with drawn elements and data.

    Raises:
        NotPackableError: the draw is not a stream.
    """
    stream = Stream()
    obus = []
    for kind in kinds:
        elements = Drawing(draw, fixed)
        extended = draw(0, 3) == 3
        layers = draw(0, 31) << 3 if extended else 0
        end = stream.payload(elements, kind, (layers >> 5, layers >> 3 & 3))
        if end == End.TRAILING_BITS:
            elements.writer.write(1, 1)
        payload = elements.writer.finish()
        if end == End.DATA:
            payload += bytes(draw(0, 255) for _ in range(draw(0, 6)))
        head = bytes([kind << 3 | extended << 2 | 2]) + bytes([layers] * extended)
        obus.append(head + leb128(len(payload)) + payload)
    return b"".join(obus)


A_STREAM = (ObuType.SEQUENCE_HEADER, *[ObuType.FRAME] * 4)
