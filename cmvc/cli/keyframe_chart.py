"""The chart of ``cmvc inspect --keyframes``: similarity over time, cuts, and the keyframes themselves."""

import io
from collections.abc import Sequence
from math import floor

import numpy as np

from cmvc.errors import MissingServiceError
from cmvc.services import KeyframeReport

try:
    from PIL import Image, ImageDraw, ImageFont
except ImportError:
    raise MissingServiceError(
        "drawing needs Pillow, which is not installed; in a checkout run: pip install -c constraints.txt '.[cli,demo]'"
    ) from None

WIDTH, CURVE_HEIGHT = 1600, 320  # pixels
THUMBNAIL_HEIGHT, LEAST_HEIGHT = 112, 64  # pixels; smaller ones where more would not fit
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 60, 60  # margins around the curve and the thumbnails
BETWEEN = 56  # between thumbnails and curve; lines lead from one to the other
LEAST_GAP = 6  # between thumbnails
_PAPER, _INK, _SOFT, _GRID = (250, 249, 246), (28, 30, 34), (110, 114, 120), (226, 224, 218)
_CURVE, _KEYFRAME, _CUT, _LIMIT = (34, 92, 150), (176, 58, 30), (120, 120, 124), (190, 140, 40)


def draw_chart(report: KeyframeReport, title: str) -> bytes:
    """Return the chart as PNG.

    Args:
        report: at least one record.
        title: what the video is called.
    """
    chart = _Chart(report)
    chart.write_title(title)
    chart.draw_axes()
    chart.draw_curve()
    chart.write_threshold()
    chart.place_thumbnails()
    data = io.BytesIO()
    chart.image.save(data, "PNG", optimize=True)
    return data.getvalue()


class _Chart:
    def __init__(self, report: KeyframeReport) -> None:
        self.report = report
        self.keyframes = [record for record in report.records if record.is_keyframe]
        self.top = TOP + THUMBNAIL_HEIGHT + BETWEEN  # of the curve
        self.image = Image.new("RGB", (WIDTH, self.top + CURVE_HEIGHT + BOTTOM), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        least = min(report.threshold, *(record.similarity for record in report.records))
        self.least = max(floor(least * 5) / 5, -1.0) if least < 0.8 else floor(least * 20) / 20 - 0.05

    def x(self, frame: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * frame / max(self.report.frames - 1, 1)

    def y(self, similarity: float) -> float:
        return self.top + CURVE_HEIGHT * (1 - similarity) / (1 - self.least)

    def text(self, x: float, y: float, text: str, size: int = 16, color: tuple[int, int, int] = _SOFT) -> float:
        """Write to the right of ``x``; return where the text ends."""
        font = ImageFont.load_default(size)
        self.draw.text((x, y), text, color, font)
        return float(x + font.getlength(text))

    def write_title(self, title: str) -> None:
        shots = sum(record.opens_shot for record in self.keyframes)
        seconds = float(self.report.frames / self.report.frame_rate)
        counts = f"{_count(len(self.keyframes), 'keyframe')} in {_count(shots, 'shot')}, {seconds:.1f} s"
        end = self.text(LEFT, 16, title, 24, _INK)
        self.text(end + 20, 22, f"{counts}; embedding {self.report.embedding}", 17)

    def draw_axes(self) -> None:
        step = 0.2 if self.least < 0.6 else 0.1 if self.least < 0.8 else 0.05
        for level in np.arange(1, self.least - 1e-6, -step):
            y = self.y(float(level))
            self.draw.line((LEFT, y, WIDTH - RIGHT, y), _GRID)
            self.text(LEFT - 46, y - 10, f"{level + 0.0:.2f}")
        bottom = self.top + CURVE_HEIGHT
        rate = float(self.report.frame_rate)
        for second in _ticks(self.report.frames / rate):
            x = self.x(second * rate)
            self.draw.line((x, bottom, x, bottom + 6), _SOFT)
            self.text(x - 8, bottom + 10, f"{second:g}")
        self.text(WIDTH - RIGHT - 60, bottom + 32, "seconds")
        self.text(LEFT, bottom + 32, "cosine similarity to the last keyframe")
        y = self.y(self.report.threshold)
        for x in range(LEFT, WIDTH - RIGHT, 12):
            self.draw.line((x, y, x + 6, y), _LIMIT, 2)

    def write_threshold(self) -> None:
        place = WIDTH - RIGHT - 4, self.y(self.report.threshold) - 2
        label, font = f"threshold {self.report.threshold:.2f}", ImageFont.load_default(16)
        self.draw.text(place, label, _LIMIT, font, anchor="rd", stroke_width=3, stroke_fill=_PAPER)

    def draw_curve(self) -> None:
        last: tuple[float, float] | None = None
        for record in self.report.records:
            x, y = self.x(record.frame), self.y(max(record.similarity, self.least))
            if record.opens_shot and record.frame:
                self.draw.line((x, self.top, x, self.top + CURVE_HEIGHT), _CUT, 2)
                self.text(x + 5, self.top + CURVE_HEIGHT - 22, "cut", 14, _CUT)
            if last:
                self.draw.line((*last, x, y), _CURVE, 2)
            if record.is_keyframe:  # from here on things are compared with this frame
                self.draw.line((x, y, x, self.y(1)), _GRID if record.opens_shot else _CURVE, 1)
                y = self.y(1)
            last = x, y
        for record in self.keyframes:
            x, y = self.x(record.frame), self.y(max(record.similarity, self.least))
            self.draw.ellipse((x - 5, y - 5, x + 5, y + 5), _KEYFRAME)

    def place_thumbnails(self) -> None:
        """Put as many keyframes in a row as there is room for, each as near to its time as it can be."""
        images = [Image.fromarray(record.thumbnail) for record in self.keyframes if record.thumbnail is not None]
        room = WIDTH - LEFT - RIGHT
        height = room // len(images) / max(image.width / image.height for image in images) - LEAST_GAP
        pictures = [_at_height(image, min(max(int(height), LEAST_HEIGHT), THUMBNAIL_HEIGHT)) for image in images]
        chosen = _that_fit([picture.width for picture in pictures], room)
        for start, number in zip(self._starts(chosen, pictures), chosen, strict=True):
            picture, record = pictures[number], self.keyframes[number]
            bottom = TOP + THUMBNAIL_HEIGHT
            top = bottom - picture.height
            self.image.paste(picture, (start, top))
            self.draw.rectangle((start - 1, top - 1, start + picture.width, bottom), outline=_SOFT)
            self.draw.line((start + picture.width / 2, bottom + 1, self.x(record.frame), self.top - 2), _KEYFRAME)
        if len(chosen) < len(pictures):
            self.text(WIDTH - RIGHT - 200, TOP - 24, f"{len(chosen)} of {len(pictures)} keyframes shown", 14)

    def _starts(self, chosen: Sequence[int], pictures: Sequence[Image.Image]) -> list[int]:
        """Return the left edges: pushed right by those before, then back left from the end."""
        starts: list[int] = []
        at = LEFT
        for number in chosen:
            at = max(at, round(self.x(self.keyframes[number].frame) - pictures[number].width / 2))
            starts.append(at)
            at += pictures[number].width + LEAST_GAP
        end = WIDTH - RIGHT
        for place in range(len(chosen) - 1, -1, -1):
            starts[place] = min(starts[place], end - pictures[chosen[place]].width)
            end = starts[place] - LEAST_GAP
        return starts


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _ticks(seconds: float) -> np.ndarray:
    """Return about ten round times within ``seconds``."""
    rough = max(seconds, 0.1) / 10
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * next(each for each in (1, 2, 5, 10) if each * unit >= rough)
    return np.arange(0, seconds + 1e-9, step).round(6)


def _at_height(image: Image.Image, height: int) -> Image.Image:
    return image.resize((max(round(image.width * height / image.height), 1), height))


def _that_fit(widths: Sequence[int], room: int) -> list[int]:
    """Return which thumbnails to show: all where they fit, else evenly spread ones, the first among them."""
    count = max(min((room + LEAST_GAP) // (max(widths) + LEAST_GAP), len(widths)), 1)
    return [round(number * (len(widths) - 1) / max(count - 1, 1)) for number in range(count)]
