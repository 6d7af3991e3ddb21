"""Decoded frames of any kind to pictures: 8-bit 4:2:0, limited range, standard dynamic range, one size."""

from dataclasses import dataclass

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation

from cmvc.errors import MediaError
from cmvc.media.crop import NO_CROP, Crop
from cmvc.media.frames import from_frame
from cmvc.media.orientation import Orientation, orientation_of
from cmvc.media.picture import Picture
from cmvc.media.tonemap import HLG, PQ, tone_mapping_graph

BT709 = 1  # H.273 code point, for primaries, transfer and matrix alike
UNSPECIFIED = 2
_FORMAT = "yuv420p"


@dataclass(frozen=True)
class Colors:
    """How the codes of a picture are to be understood: code points of ITU-T H.273, and the range of the source."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool


def is_hdr(frame: VideoFrame) -> bool:
    """Say whether the frame has a high dynamic range (PQ or HLG)."""
    return frame.color_trc in (PQ, HLG)


def colors_of(frame: VideoFrame) -> Colors:
    """Return the colours that pictures made from frames like this one have."""
    if is_hdr(frame):
        return Colors(BT709, BT709, BT709, full_range=False)
    if frame.format.is_rgb or frame.format.has_palette:
        return Colors(BT709, BT709, BT709, full_range=False)
    return Colors(frame.color_primaries, frame.color_trc, frame.colorspace, _is_full(frame))


def _is_full(frame: VideoFrame) -> bool:
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


class Converter:
    """Makes upright pictures of ``width`` x ``height`` in ``colors``; keeps what it set up from frame to frame.

    Attributes:
        resized: how many frames had another size.
        flattened: how many frames let something behind them show through.
    """

    def __init__(self, width: int, height: int, colors: Colors, crop: Crop = NO_CROP) -> None:
        self._width, self._height, self._colors, self._crop = width, height, colors, crop
        self._tone_mapping: tuple[tuple[object, ...], Graph] | None = None
        self._orientation: tuple[tuple[int, int, int], Orientation] | None = None
        self.resized = self.flattened = 0

    def convert(self, frame: VideoFrame) -> Picture:
        """Return the frame as a picture.

        Raises:
            MediaError: FFmpeg cannot convert the frame's pixel format.
        """
        way_up = self._way_up(frame)
        width, height = (self._height, self._width) if way_up.transposed else (self._width, self._height)
        whole = frame.width, frame.height
        fits = self._crop.size(*whole) == (width, height)
        self.resized += not fits
        try:
            if is_hdr(frame):
                frame = self._tone_map(frame)
            if _has_alpha(frame) and (opaque := _on_black(frame)) is not frame:
                self.flattened += 1
                frame = opaque
            if fits:
                return way_up.upright(self._crop.of(from_frame(self._reformat(frame, *whole))))
            return way_up.upright(from_frame(self._reformat(frame, width, height)))
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"frames of pixel format {frame.format.name} cannot be converted: {error}") from None

    def _way_up(self, frame: VideoFrame) -> Orientation:
        """Return how the frame is to be shown; looked up where it may have changed, for a look ties up the frame."""
        key = (frame.rotation, frame.width, frame.height)
        if self._orientation is None or self._orientation[0] != key:
            self._orientation = (key, orientation_of(frame))
        return self._orientation[1]

    def _reformat(self, frame: VideoFrame, width: int, height: int) -> VideoFrame:
        if frame.format.name == _FORMAT and not _is_full(frame) and (frame.width, frame.height) == (width, height):
            return frame
        matrix = None if self._colors.matrix == UNSPECIFIED else self._colors.matrix
        rgb = frame.format.is_rgb or frame.format.has_palette
        return frame.reformat(
            width=width,
            height=height,
            format=_FORMAT,
            src_colorspace=None if rgb else matrix,
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG if rgb or _is_full(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )

    def _tone_map(self, frame: VideoFrame) -> VideoFrame:
        """Return the frame in BT.709 with a standard dynamic range."""
        key = (frame.width, frame.height, frame.format.name, frame.color_trc, frame.colorspace, frame.color_range)
        if self._tone_mapping is None or self._tone_mapping[0] != key:
            self._tone_mapping = (key, tone_mapping_graph(frame))
        graph = self._tone_mapping[1]
        graph.vpush(frame)
        return graph.vpull()


def _has_alpha(frame: VideoFrame) -> bool:
    return frame.format.has_palette or any(component.is_alpha for component in frame.format.components)


def _on_black(frame: VideoFrame) -> VideoFrame:
    """Return the frame in front of black; as it is where it hides nothing."""
    rgba = np.asarray(frame.reformat(format="rgba").to_ndarray(), np.uint16)
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return frame
    return VideoFrame.from_ndarray(((rgba[..., :3] * alpha + 127) // 255).astype(np.uint8), format="rgb24")
