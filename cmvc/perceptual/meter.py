"""All perceptual measures of a video, pair by pair."""

from collections.abc import Iterator
from fractions import Fraction
from statistics import fmean

from cmvc.media.picture import Picture
from cmvc.media.rgb import to_rgb
from cmvc.perceptual.metrics import as_tensor, dists, lpips
from cmvc.perceptual.motion import Steadiness
from cmvc.perceptual.weights import load_weights

_NAMES = ("lpips_alex", "lpips_vgg", "dists")
EVERY_SECONDS = Fraction(1, 2)  # from one picture that is looked at to the next: a pair takes seconds of a CPU


class PerceptualMeter:
    """Measures LPIPS and DISTS of a picture every half second, and how steady all of them are.

    Attributes:
        every: pictures from one that is looked at to the next.
    """

    def __init__(self, frame_rate: Fraction, color_matrix: int) -> None:
        """Take the videos' frame rate and colour matrix (code point of ITU-T H.273), and get the weights.

        Raises:
            MissingWeightsError: they cannot be had.
        """
        self.every = max(round(frame_rate * EVERY_SECONDS), 1)
        self._matrix = color_matrix
        self._weights = load_weights()
        self._steadiness = Steadiness()
        self._found: list[tuple[float, float, float]] = []
        self._count = 0

    def push(self, reference: Picture, distorted: Picture) -> None:
        """Take the next pair, of one size."""
        self._steadiness.push(reference.y, distorted.y)
        if self._count % self.every == 0:
            a, b = (as_tensor(to_rgb(picture, self._matrix)) for picture in (reference, distorted))
            self._found.append(
                (lpips(self._weights, "alexnet", a, b), lpips(self._weights, "vgg16", a, b), dists(self._weights, a, b))
            )
        self._count += 1

    def looked_at(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield LPIPS and DISTS of the pairs that were looked at, each with its number."""
        for number, values in enumerate(self._found):
            yield number * self.every, dict(zip(_NAMES, values, strict=True))

    def scores(self) -> dict[str, float]:
        """Return the means over what was looked at; at least one pair was pushed."""
        means = {name: fmean(values) for name, values in zip(_NAMES, zip(*self._found, strict=True), strict=True)}
        return {**means, **self._steadiness.scores()}
