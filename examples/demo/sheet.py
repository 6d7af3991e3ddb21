"""The contact sheet: one row per way to send the video, one column per moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmvc.media.picture import Picture, resize
from cmvc.media.reader import open_video

MOMENTS = (0.08, 0.30, 0.52, 0.72, 0.94)
"""Of the video's length."""

_LABEL = 250  # pixels, width of the label column
_GAP, _MARGIN, _HEAD = 8, 28, 92
_PAPER, _INK, _SOFT, _ACCENT = (250, 249, 246), (28, 30, 34), (110, 114, 120), (176, 58, 30)


@dataclass(frozen=True)
class Row:
    """One row: a video, what it is called and what is said about it."""

    title: str
    video: Path
    big: str
    lines: Sequence[str]


def write_sheet(path: Path, title: str, rows: Sequence[Row], frames: int, *, width: int = 320) -> None:
    """Write the contact sheet as PNG.

    Args:
        path: where to.
        title: one line above the pictures.
        rows: from top to bottom.
        frames: of each video.
        width: of one picture, in pixels; portrait videos are made as high as landscape ones.
    """
    numbers = [min(round(moment * frames), frames - 1) for moment in MOMENTS]
    strips, seconds = [], []
    for row in rows:
        pictures, rate = _pick(row.video, numbers, width)
        strips.append(pictures)
        seconds = [number / rate for number in numbers]
    height, across = strips[0][0].shape[:2]
    size = (
        2 * _MARGIN + _LABEL + len(numbers) * (across + _GAP) - _GAP,
        2 * _MARGIN + _HEAD + len(rows) * (height + _GAP) - _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 4), title, _INK, _font(30))
    for column, second in enumerate(seconds):
        x = _MARGIN + _LABEL + column * (across + _GAP)
        draw.text((x, _MARGIN + _HEAD - 28), f"{second:.1f} s", _SOFT, _font(18))
    for index, (row, strip) in enumerate(zip(rows, strips, strict=True)):
        y = _MARGIN + _HEAD + index * (height + _GAP)
        _label(draw, row, y)
        for column, picture in enumerate(strip):
            sheet.paste(Image.fromarray(picture), (_MARGIN + _LABEL + column * (across + _GAP), y))
    sheet.save(path, optimize=True)


def _label(draw: ImageDraw.ImageDraw, row: Row, y: int) -> None:
    """Write a row's label at height ``y``."""
    draw.text((_MARGIN, y - 4), row.title, _INK, _font(26))
    draw.text((_MARGIN, y + 30), row.big, _ACCENT, _font(22))
    for number, line in enumerate(row.lines):
        draw.text((_MARGIN, y + 62 + 23 * number), line, _SOFT, _font(17))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _pick(video: Path, numbers: Sequence[int], width: int) -> tuple[list[np.ndarray], float]:
    """Return the frames of these numbers as RGB pictures (height, width, 3) uint8, and the frame rate."""
    found: dict[int, np.ndarray] = {}
    with open_video(video, audio=None) as reader:
        info = reader.info
        number = 0
        for item in reader.read():
            if isinstance(item, Picture):
                if number in numbers:
                    found[number] = _shown(item, float(info.pixel_aspect), width)
                number += 1
    return [found[number] for number in numbers], float(info.frame_rate)


def _shown(picture: Picture, aspect: float, width: int) -> np.ndarray:
    """Return the picture as a player shows it."""
    shape = picture.width * aspect / picture.height
    small = resize(picture, max(2 * round(width / 2), 2), max(2 * round(width / shape / 2), 2))
    planes = [np.ascontiguousarray(plane).ravel() for plane in small.planes]
    yuv = np.concatenate(planes).reshape(small.height * 3 // 2, small.width)
    return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420))
