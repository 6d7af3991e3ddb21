"""What an embedding gives back: vectors whose cosine similarity says how alike two pictures are."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmvc.media.picture import Picture

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Turns pictures into vectors. One object is used by one thread at a time."""

    id: str
    """Registered name; never changes."""

    default_threshold: float
    """Cosine similarity to the last keyframe under which a picture shows something new."""

    def embed(self, pictures: Sequence[Picture], color_matrix: int) -> Vectors:
        """Return (n, d) float32, a unit vector for each of the n pictures.

        Args:
            pictures: at any size, at least one; all of one size.
            color_matrix: of the pictures, code point of ITU-T H.273.

        Raises:
            MissingWeightsError: the embedding's model is not on this machine, or not whole.
        """


def unit(vectors: Vectors) -> Vectors:
    """Return (n, d) vectors at length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
