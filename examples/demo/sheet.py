"""The contact sheet: parts below each other, each with one row per way to send a video and one column per moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.scaling import resize

MOMENTS = (0.08, 0.30, 0.52, 0.72, 0.94)
"""Of a video's length."""
CLOSER_MOMENTS = (0.1, 0.5, 0.9)
"""Where pictures are shown pixel for pixel, so that fewer fit."""

_LABEL = 250  # pixels, width of the label column
_WIDTH = 320  # of one picture
_GAP, _MARGIN, _HEAD = 8, 28, 92
_CLOSER_WIDTH = (len(MOMENTS) * (_WIDTH + _GAP)) // len(CLOSER_MOMENTS) - _GAP
_CLOSER_SHAPE = 16 / 9  # of what is cut out of the middle
_PAPER, _INK, _SOFT, _ACCENT = (250, 249, 246), (28, 30, 34), (110, 114, 120), (176, 58, 30)

Pixels = np.ndarray
"""RGB (height, width, 3) uint8."""


@dataclass(frozen=True)
class Row:
    """One row: a video, what it is called and what is said about it."""

    title: str
    video: Path
    big: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Part:
    """Rows that show one video.

    Attributes:
        title: one line above the pictures.
        rows: from top to bottom.
        frames: of each video.
        closer: whether the middle of each picture is cut out as it is, rather than all of it made small.
    """

    title: str
    rows: Sequence[Row]
    frames: int
    closer: bool = False


def write_sheet(path: Path, parts: Sequence[Part]) -> None:
    """Write the contact sheet as PNG. Portrait videos are made as high as landscape ones."""
    drawn = [_drawn(part) for part in parts]
    size = max(part.width for part in drawn), sum(part.height for part in drawn)
    sheet = Image.new("RGB", size, _PAPER)
    top = 0
    for part in drawn:
        sheet.paste(part, (0, top))
        top += part.height
    sheet.save(path, optimize=True)


def _drawn(part: Part) -> Image.Image:
    moments = CLOSER_MOMENTS if part.closer else MOMENTS
    numbers = [min(round(moment * part.frames), part.frames - 1) for moment in moments]
    strips, seconds = [], []
    for row in part.rows:
        pictures, rate = _pick(row.video, numbers, closer=part.closer)
        strips.append(pictures)
        seconds = [number / rate for number in numbers]
    height, across = strips[0][0].shape[:2]
    size = (
        2 * _MARGIN + _LABEL + len(numbers) * (across + _GAP) - _GAP,
        2 * _MARGIN + _HEAD + len(part.rows) * (height + _GAP) - _GAP,
    )
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN - 4), part.title, _INK, _font(30))
    for column, second in enumerate(seconds):
        x = _MARGIN + _LABEL + column * (across + _GAP)
        draw.text((x, _MARGIN + _HEAD - 28), f"{second:.1f} s", _SOFT, _font(18))
    for index, (row, strip) in enumerate(zip(part.rows, strips, strict=True)):
        y = _MARGIN + _HEAD + index * (height + _GAP)
        _label(draw, row, y)
        for column, picture in enumerate(strip):
            sheet.paste(Image.fromarray(picture), (_MARGIN + _LABEL + column * (across + _GAP), y))
    return sheet


def _label(draw: ImageDraw.ImageDraw, row: Row, y: int) -> None:
    """Write a row's label at height ``y``."""
    draw.text((_MARGIN, y - 4), row.title, _INK, _font(26))
    draw.text((_MARGIN, y + 30), row.big, _ACCENT, _font(22))
    for number, line in enumerate(row.lines):
        draw.text((_MARGIN, y + 62 + 23 * number), line, _SOFT, _font(17))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _pick(video: Path, numbers: Sequence[int], *, closer: bool) -> tuple[list[Pixels], float]:
    """Return the frames of these numbers, and the frame rate."""
    found: dict[int, Pixels] = {}
    with open_video(video, audio=None) as reader:
        info = reader.info
        number = 0
        for item in reader.read():
            if isinstance(item, Picture):
                if number in numbers:
                    found[number] = _middle(item) if closer else _shown(item, float(info.pixel_aspect))
                number += 1
    return [found[number] for number in numbers], float(info.frame_rate)


def _shown(picture: Picture, aspect: float) -> Pixels:
    """Return the picture as a player shows it, made small."""
    shape = picture.width * aspect / picture.height
    return _rgb(resize(picture, _WIDTH, max(2 * round(_WIDTH / shape / 2), 2)))


def _middle(picture: Picture) -> Pixels:
    """Return the middle of the picture, pixel for pixel."""
    even = resize(picture, max(picture.width // 2 * 2, 2), max(picture.height // 2 * 2, 2))
    rgb = _rgb(even)
    width = min(_CLOSER_WIDTH, even.width)
    height = min(round(width / _CLOSER_SHAPE), even.height)
    left, top = (even.width - width) // 2, (even.height - height) // 2
    return rgb[top : top + height, left : left + width]


def _rgb(picture: Picture) -> Pixels:
    planes = [np.ascontiguousarray(plane).ravel() for plane in picture.planes]
    yuv = np.concatenate(planes).reshape(picture.height * 3 // 2, picture.width)
    return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420))
