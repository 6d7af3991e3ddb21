"""The coded sizes and frame rates that a search chooses from."""

from dataclasses import dataclass

from cmvc.media import av1
from cmvc_encoder.ingest.window import Window

STEPS = (1, 2, 3, 4, 6, 8, 12)  # source frames per coded frame
LADDER_STEP = 2**-0.25  # between neighbouring scales
LEAST_SIDE = 48  # coded pixels; smaller pictures save next to nothing


@dataclass(frozen=True)
class Shape:
    """Coded size in pixels and source frames per coded frame."""

    width: int
    height: int
    step: int

    @property
    def pixels(self) -> int:
        """Pixels of a coded picture."""
        return self.width * self.height


def shape_of(window: Window, scale: float, step: int) -> Shape:
    """Return the coded size nearest to ``scale`` of the working size: even, and no smaller than is sensible."""
    width, height = window.pictures[0].width, window.pictures[0].height
    scale = min(max(scale, LEAST_SIDE / min(width, height)), 1.0)
    coded = (max(round(side * scale / 2) * 2, av1.LEAST_SIDE) for side in (width, height))
    return Shape(next(coded), next(coded), step)


def ladder(window: Window, step: int) -> list[Shape]:
    """Return the shapes worth trying at a frame step, full size first."""
    shapes = [shape_of(window, 1.0, step)]
    scale = LADDER_STEP
    while (shape := shape_of(window, scale, step)) != shapes[-1]:
        shapes.append(shape)
        scale *= LADDER_STEP
    return shapes


def steps(window: Window, least_rate: float) -> list[int]:
    """Return the frame steps that leave ``least_rate`` coded frames per second; every frame is always one."""
    coarsest = float(window.frame_rate) / least_rate
    return [step for step in STEPS if step == 1 or (step <= coarsest and step < len(window.pictures))]
