"""Anchors that are blended in instead of shown: no picture stands out between those that a model made.

A decoded anchor is sharper or softer than what a model makes, so that a video in which it is shown as it is pulses.
Blended, the model's own frame is shown there, moved to the anchor's low frequencies, and its neighbours with it, the
less the farther away they are.
"""

from collections.abc import Mapping

import numpy as np

from cmvc.media.picture import Picture
from cmvc_decoder.diffusion.color import minus, moved_by, tones

CELLS = 32  # on the short side: what is finer than that stays the model's
FEATHER = 4  # native frames on either side


class AnchorBlender:
    """Moves generated frames towards the anchors at or near them."""

    def __init__(self, anchors: Mapping[int, Picture], made: Mapping[int, Picture]) -> None:
        """Compare low frequencies.

        Args:
            anchors: decoded, by native frame, at the native size.
            made: the generated frames of the same numbers.
        """
        self._apart = {n: minus(tones(anchor, CELLS), tones(made[n], CELLS)) for n, anchor in anchors.items()}

    def blend(self, number: int, picture: Picture) -> Picture:
        """Return generated frame ``number`` as its anchors would have it."""
        shares = {n: 1 - abs(n - number) / (FEATHER + 1) for n in self._apart if abs(n - number) <= FEATHER}
        if not shares:
            return picture
        whole = max(sum(shares.values()), 1.0)
        apart = (
            np.sum([np.float32(share / whole) * self._apart[n][plane] for n, share in shares.items()], axis=0)
            for plane in range(3)
        )
        return moved_by(picture, tuple(apart))
