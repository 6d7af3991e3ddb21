"""What each number of a request may be: said once, for the SDK, the command line and the encoder.

The comments in ``proto/`` repeat it for people; ``tests/unit/test_bounds.py`` holds them to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cmvc.errors import InvalidSettingError
from cmvc.v1 import encoder_pb2


@dataclass(frozen=True)
class Bound:
    """The range of a field.

    Attributes:
        least, most: that it may be; both are allowed.
        unit: of both, "" for none.
    """

    least: float
    most: float
    unit: str = ""

    def __str__(self) -> str:
        """Return it as the comments in ``proto/`` write it."""
        return f"{self.least}..{self.most}" + (f" {self.unit}" if self.unit else "")


ENCODE_BOUNDS: Mapping[str, Bound] = {
    "bits_per_second": Bound(100, 100_000_000, "bit/s"),  # below, not even the framing fits
    "quality": Bound(1, 100),
    "latency_ms": Bound(1, 60_000, "ms"),  # a segment has at most 10 s
    "seed": Bound(0, 65_535),  # what a stream's header holds
    "keyframes.threshold": Bound(0, 1),
    "keyframes.max_gap_ms": Bound(1, 3_600_000, "ms"),
    "audio.opus_bits_per_second": Bound(5_000, 256_000, "bit/s"),
}
"""Of the numbers in ``EncodeConfig``, by their path in it."""


def check_bound(path: str, value: float) -> None:
    """Return if the field of ``EncodeConfig`` at ``path`` may be ``value``.

    Raises:
        InvalidSettingError: it may not.
    """
    bound = ENCODE_BOUNDS[path]
    if not bound.least <= value <= bound.most:
        name = path.replace(".", " ").replace("_", " ")
        raise InvalidSettingError(f"the {name} {value:.9g} is not within {bound}", field=f"config.{path}")


def check_bounds(config: encoder_pb2.EncodeConfig) -> None:
    """Return if every number that ``config`` gives is within its bound; one that is not given has a default.

    Raises:
        InvalidSettingError: one is not.
    """
    for path in ENCODE_BOUNDS:
        value = _given(config, path)
        if value is not None:
            check_bound(path, value)


def _given(config: encoder_pb2.EncodeConfig, path: str) -> float | None:
    """Return the number at ``path``, None where it is not given: of fields without presence 0 stands for that."""
    message, name = config, path
    if "." in path:
        outer, _, name = path.partition(".")
        if not config.HasField(outer):  # type: ignore[arg-type]  # the paths are fields
            return None
        message = getattr(config, outer)
    value: float = getattr(message, name)
    if message.DESCRIPTOR.fields_by_name[name].has_presence:
        return value if message.HasField(name) else None  # type: ignore[arg-type]
    return value or None
