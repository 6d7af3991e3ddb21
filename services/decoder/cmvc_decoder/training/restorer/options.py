"""What a training run of the restorer is asked for."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cmvc.restoration.settings import FIDELITY

PERCEPTUAL = "perceptual"
VARIANTS = (FIDELITY, PERCEPTUAL)


@dataclass(frozen=True)
class RestorerOptions:
    """How to train. All of it shapes the result: a run that is resumed has to have the same.

    Attributes:
        variant: what for, one of ``VARIANTS``: near to the source, or sharp to the eye.
        start_from: path of an ONNX file whose weights to begin with; "" for none.
        steps: of the optimizer.
        batch: patches of a step.
        learning_rate: at its highest, after the warm-up.
        codings: made of each video.
        patches: cut out of each coding.
        held_out: share of the videos that are never trained on.
        seed: of all that is drawn by chance.
    """

    variant: str
    start_from: str
    steps: int
    batch: int
    learning_rate: float
    codings: int
    patches: int
    held_out: float
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return them as a run's record has them."""
        return asdict(self)


@dataclass(frozen=True)
class RestorerPlaces:
    """Where a run reads and writes, and how it runs here. May differ when a run is resumed.

    Attributes:
        videos: folder of videos, searched with the folders in it.
        out: folder of the run.
        save_every: steps from one saved state to the next.
        evaluate_every: steps from one held-out loss to the next.
        device: of torch, such as ``cpu`` or ``cuda``.
        threads: of torch on the CPU.
    """

    videos: Path
    out: Path
    save_every: int
    evaluate_every: int
    device: str
    threads: int
