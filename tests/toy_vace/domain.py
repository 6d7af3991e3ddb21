"""The small world of the toy checkpoint: one flat thing that moves before a flat background, with its caption."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels
COLORS = {
    "red": (200, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 70, 200),
    "yellow": (225, 200, 50),
    "white": (235, 235, 235),
    "black": (25, 25, 25),
}
SHAPES = ("ball", "box")
SIZES = {"small": 7, "large": 13}  # radius or half a side, in pixels
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "": (0, 0)}
WORDS = (
    *COLORS, *SHAPES, *SIZES, *filter(None, DIRECTIONS), "background", "the", "moves", "stays", "wall",
    "Red", "Green", "Blue", "Yellow", "White", "Black", "The",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """What a video shows.

    Attributes:
        background, color: names of ``COLORS``.
        shape: of ``SHAPES``.
        size: name of ``SIZES``.
        direction: name of ``DIRECTIONS``; "" stays.
        start: (x, y) of the thing's middle in the first frame, in pixels.
        speed: in pixels per frame.
    """

    background: str
    color: str
    shape: str
    size: str
    direction: str
    start: tuple[float, float]
    speed: float

    @property
    def caption(self) -> str:
        """The caption in one line, in the words of CMVC's scene grammar."""
        act = f"moves {self.direction}" if self.direction else "stays"
        return (
            f"{self.background.capitalize()} wall background, {self.size} {self.color} {self.shape}. "
            f"The {self.color} {self.shape} {act}."
        )

    def place(self, frame: int) -> tuple[float, float]:
        """Return where the thing's middle is, in pixels."""
        across, down = DIRECTIONS[self.direction]
        return self.start[0] + across * self.speed * frame, self.start[1] + down * self.speed * frame


def draw(scene: Scene, frames: int) -> NDArray[np.uint8]:
    """Return the video, (frames, SIDE, SIDE, 3) RGB, 0..255, with smooth edges."""
    video = np.empty((frames, SIDE, SIDE, 3), np.uint8)
    for number, picture in enumerate(video):
        picture[:] = COLORS[scene.background]
        _paint(picture, scene, scene.place(number))
    return video


def _paint(picture: NDArray[np.uint8], scene: Scene, place: tuple[float, float]) -> None:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    across, down = np.abs(columns - place[0]), np.abs(rows - place[1])
    away = np.hypot(across, down) if scene.shape == "ball" else np.maximum(across, down)
    cover = np.clip(SIZES[scene.size] + 0.5 - away, 0, 1)[..., None]
    color = np.array(COLORS[scene.color], np.float32)
    picture[:] = np.rint(picture + cover * (color - picture)).astype(np.uint8)


def random_scene(rng: np.random.Generator, frames: int) -> Scene:
    """Return a scene whose thing stays within the picture for ``frames`` frames."""
    background, color = rng.choice(list(COLORS), 2, replace=False)
    size = str(rng.choice(list(SIZES)))
    direction = str(rng.choice(list(DIRECTIONS)))
    room = SIDE - 2 * SIZES[size] - 4
    speed = float(rng.uniform(0.4, 1.0) * room / (frames - 1)) if direction else 0.0
    travel = speed * (frames - 1)
    low = SIZES[size] + 2
    start = []
    for axis in DIRECTIONS[direction]:
        begin = low + travel if axis < 0 else low
        end = SIDE - low - travel if axis > 0 else SIDE - low
        start.append(float(rng.uniform(begin, max(begin, end))))
    return Scene(str(background), str(color), str(rng.choice(SHAPES)), size, direction, (start[0], start[1]), speed)


def low_rate(video: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what a low-rate guide keeps of a video: an eighth of its size, enlarged again."""
    small = (SIDE // 8, SIDE // 8)
    return np.stack(
        [
            cv2.resize(
                cv2.resize(frame, small, interpolation=cv2.INTER_AREA), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
            )
            for frame in video
        ]
    )
