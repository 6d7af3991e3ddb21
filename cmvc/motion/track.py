"""The motion track of an IT2V segment and its exact coding (docs/motion-track.md).

Between two neighbouring anchors lies a *gap*. At a few control times inside it the track gives, for each cell of a
grid over the picture, where the cell's content stands in the opening anchor and in the closing anchor, and which of the
two shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmvc.errors import CorruptStreamError
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.range_coder import BitCoder, BitDecoder, BitEncoder, Contexts

Vectors = NDArray[np.int16]
Sides = NDArray[np.uint8]
Grid = list[list[int]]
Field = tuple[Grid, Grid]  # x and y components, each by row and column
Vector = tuple[int, int]

MOST_COLUMNS = 128
MOST_ROWS = 128
MOST_CONTROLS = 15  # in one gap; four bits
MOST_STEP = 64
UNITS_PER_WIDTH = 4096  # a vector of n steps moves by n * step / 4096 of the picture's width
LARGEST_VECTOR = 8191  # in steps, per component
_HEADER_BYTES = 3
_HALF = 1 << 15
_ESCAPE = 12  # unary steps before the magnitude goes on in Exp-Golomb code


class Side(IntEnum):
    """Which anchor shows what a cell shows."""

    BOTH = 0
    OPENING = 1
    CLOSING = 2


@dataclass(frozen=True, eq=False)
class Control:
    """The motion at one control time.

    Attributes:
        to_opening: (rows, columns, 2) int16, x then y, in steps: cell centre plus vector is where the content stands in
            the opening anchor.
        to_closing: likewise for the closing anchor; None in a gap without one.
        side: (rows, columns) uint8 of ``Side``; None in a gap without a closing anchor.
    """

    to_opening: Vectors
    to_closing: Vectors | None = None
    side: Sides | None = None


@dataclass(frozen=True, eq=False)
class Gap:
    """The motion between two anchors.

    Attributes:
        two_sided: whether there is a closing anchor.
        controls: control k of n stands at ``control_offset(k, n, length)`` frames from the opening anchor.
    """

    two_sided: bool
    controls: tuple[Control, ...]


@dataclass(frozen=True, eq=False)
class MotionTrack:
    """The motion of one segment.

    Attributes:
        columns, rows: of the grid, 1..128; its cells divide the picture evenly.
        step: size of a vector step in 1/4096 of the picture's width, 1..64.
        gaps: one for each anchor, but for a closing one; in order.
    """

    columns: int
    rows: int
    step: int
    gaps: tuple[Gap, ...]


def control_offset(index: int, count: int, length: int) -> int:
    """Return where control ``index`` (from 0) of ``count`` stands in a gap of ``length`` frames, rounded half up."""
    return (2 * length * (index + 1) + count + 1) // (2 * (count + 1))


class FieldSource(Protocol):
    """Says what a field is to be, while it is coded: it may weigh what a vector costs."""

    def affine(self, base: Field) -> Sequence[int] | None:
        """Return six integers of an affine field to add to the prediction ``base``, None for nothing."""

    def vector(self, row: int, column: int, predicted: Vector) -> Vector:
        """Return the vector of a cell; ``predicted`` itself is the cheapest."""


@dataclass(frozen=True, eq=False)
class ControlPlan:
    """What to code for one control time; see ``Control``."""

    to_opening: FieldSource
    to_closing: FieldSource | None = None
    side: Grid | None = None


@dataclass(frozen=True, eq=False)
class GapPlan:
    """What to code for one gap."""

    two_sided: bool
    controls: tuple[ControlPlan, ...]


class ExactField:
    """Codes given vectors as they are."""

    def __init__(self, vectors: Vectors) -> None:
        """Keep (rows, columns, 2) vectors."""
        self._vectors: list[list[list[int]]] = vectors.tolist()

    def affine(self, base: Field) -> Sequence[int] | None:  # noqa: ARG002 - see FieldSource
        """Return None: neighbours predict well enough."""
        return None

    def vector(self, row: int, column: int, predicted: Vector) -> Vector:  # noqa: ARG002 - see FieldSource
        """Return the given vector."""
        x, y = self._vectors[row][column]
        return x, y


def encode_track(track: MotionTrack, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of ``track``. Vectors that ``side`` makes needless are not stored.

    Raises:
        LimitError: it has more cells or gaps than ``limits`` allow.
        ValueError: a field is out of its range.
    """
    plans = [GapPlan(gap.two_sided, tuple(map(_exactly, gap.controls))) for gap in track.gaps]
    return write_track(track.columns, track.rows, track.step, plans, limits)[1]


def _exactly(control: Control) -> ControlPlan:
    for vectors in (control.to_opening, control.to_closing):
        if vectors is not None and np.abs(vectors.astype(np.int32)).max() > LARGEST_VECTOR:
            raise ValueError(f"components of vectors are -{LARGEST_VECTOR}..{LARGEST_VECTOR}")
    if control.side is not None and control.side.max() > Side.CLOSING:
        raise ValueError("sides are 0..2")
    closing = ExactField(control.to_closing) if control.to_closing is not None else None
    side: Grid | None = control.side.tolist() if control.side is not None else None
    return ControlPlan(ExactField(control.to_opening), closing, side)


def write_track(
    columns: int, rows: int, step: int, plans: Sequence[GapPlan], limits: Limits = DEFAULT_LIMITS
) -> tuple[MotionTrack, bytes]:
    """Code ``plans`` and return the track as a decoder will see it, with its bytes.

    Raises:
        LimitError: there are more cells or gaps than ``limits`` allow.
        ValueError: a number is out of its range.
    """
    if not (1 <= columns <= MOST_COLUMNS and 1 <= rows <= MOST_ROWS and 1 <= step <= MOST_STEP):
        raise ValueError("columns and rows are 1..128, step is 1..64")
    if any(len(plan.controls) > MOST_CONTROLS for plan in plans):
        raise ValueError(f"a gap has {MOST_CONTROLS} controls at most")
    encoder = BitEncoder()
    gaps = _code_gaps(encoder, columns, rows, plans, limits)
    track = MotionTrack(columns, rows, step, gaps)
    return track, bytes([columns - 1, rows - 1, step - 1]) + encoder.finish()


def decode_track(data: bytes, limits: Limits = DEFAULT_LIMITS) -> MotionTrack:
    """Return the track that ``data`` codes. Vectors that were not stored come back as predicted from their neighbours.

    Raises:
        CorruptStreamError: the bytes are not a whole track and nothing else.
        LimitError: it claims more cells or gaps than ``limits`` allow.
    """
    if len(data) < _HEADER_BYTES:
        raise CorruptStreamError(f"coded motion is {len(data)} bytes long, too short for its header")
    columns, rows, step = (value + 1 for value in data[:_HEADER_BYTES])
    if columns > MOST_COLUMNS or rows > MOST_ROWS or step > MOST_STEP:
        raise CorruptStreamError(f"coded motion has a grid of {columns}x{rows}, step {step}; 128x128 and 64 at most")
    decoder = BitDecoder(data[_HEADER_BYTES:])
    gaps = _code_gaps(decoder, columns, rows, None, limits)
    decoder.finish()
    return MotionTrack(columns, rows, step, gaps)


def _code_gaps(
    coder: BitCoder, columns: int, rows: int, plans: Sequence[GapPlan] | None, limits: Limits
) -> tuple[Gap, ...]:
    count = limits.check("keyframes", coder.even(7, len(plans) if plans else 0))
    cells = 0
    models = _Models()
    gaps: list[Gap] = []
    for index in range(count):
        plan = plans[index] if plans else None
        two_sided = bool(coder.even(1, plan.two_sided if plan else 0))
        controls = coder.even(4, len(plan.controls) if plan else 0)
        cells = limits.check("motion_cells", cells + controls * columns * rows)
        gap_coder = _GapCoder(coder, models, (columns, rows), two_sided, controls)
        gaps.append(gap_coder.code(plan))
    return tuple(gaps)


class _Models:
    """All adaptive probabilities, shared by the gaps of a track."""

    def __init__(self) -> None:
        self.affine = Contexts([_HALF])
        self.one_sided = Contexts([60000, 45000, 25000, 15000])
        self.closing = Contexts([50000, _HALF, 15000])
        self.moved = Contexts([59000, 42000, 25000])
        self.nonzero = Contexts([20000])
        self.sign = Contexts([_HALF] * 2)
        self.more = Contexts([40000] * _ESCAPE * 2)


class _GapCoder:
    """Codes one gap in either direction: writes what a plan says, or reads."""

    def __init__(self, coder: BitCoder, models: _Models, size: tuple[int, int], two_sided: bool, controls: int) -> None:
        self.coder, self.models = coder, models
        self.columns, self.rows = size
        self.two_sided, self.controls = two_sided, controls

    def code(self, plan: GapPlan | None) -> Gap:
        fields: tuple[Field, Field | None] | None = None
        side: Grid | None = None
        controls: list[Control] = []
        for index in range(self.controls):
            control = plan.controls[index] if plan else None
            side = self._sides(control.side if control else None, side) if self.two_sided else None
            fields = self._fields(index, control, side, fields)
            controls.append(_to_control(*fields, side))
        return Gap(self.two_sided, tuple(controls))

    def _fields(
        self, index: int, plan: ControlPlan | None, side: Grid | None, previous: tuple[Field, Field | None] | None
    ) -> tuple[Field, Field | None]:
        base = _predict_opening(index, previous[0] if previous else None, self.columns, self.rows)
        opening = self._field(base, plan.to_opening if plan else None, side, Side.CLOSING)
        if not self.two_sided:
            return opening, None
        if previous is None or previous[1] is None:
            base = _scaled(opening, -self.controls, 1)
        else:
            base = _shifted(previous[1], opening, previous[0])
        return opening, self._field(base, plan.to_closing if plan else None, side, Side.OPENING)

    def _sides(self, given: Grid | None, previous: Grid | None) -> Grid:
        side: Grid = []
        for r in range(self.rows):
            row: list[int] = []
            side.append(row)
            for c in range(self.columns):
                near = (row[c - 1] if c else 0, side[r - 1][c] if r else 0, previous[r][c] if previous else 0)
                row.append(self._side(near, given[r][c] if given else 0))
        return side

    def _side(self, near: tuple[int, int, int], given: int) -> int:
        some = (near[0] > 0) + (near[1] > 0) + (near[2] > 0)
        if not self.coder.bit(self.models.one_sided, some, given != Side.BOTH):
            return int(Side.BOTH)
        votes = sum((0, -1, 1)[value] for value in near)
        vote = (votes > 0) - (votes < 0) + 1
        return 1 + self.coder.bit(self.models.closing, vote, given == Side.CLOSING)

    def _field(self, base: Field, source: FieldSource | None, side: Grid | None, needless: int) -> Field:
        """Code one field over its prediction in time, ``base``; cells of side ``needless`` are only predicted."""
        base = self._affine(base, source)
        over: Field = ([], [])  # what the field adds to its base
        moved: Grid = []
        for r in range(self.rows):
            for plane in (*over, moved):
                plane.append([])
            for c in range(self.columns):
                expected = _median(over[0], r, c, self.columns), _median(over[1], r, c, self.columns)
                residual = 0, 0
                if side is None or side[r][c] != needless:
                    near = (moved[r][c - 1] if c else 0) + (moved[r - 1][c] if r else 0)
                    predicted = base[0][r][c] + expected[0], base[1][r][c] + expected[1]
                    wanted = source.vector(r, c, predicted) if source else predicted
                    residual = self._residual(near, (wanted[0] - predicted[0], wanted[1] - predicted[1]))
                moved[r].append(residual != (0, 0))
                over[0][r].append(expected[0] + residual[0])
                over[1][r].append(expected[1] + residual[1])
        return _sum(base, over)

    def _affine(self, base: Field, source: FieldSource | None) -> Field:
        """Code whether an affine field is added to the base, and which."""
        wanted = source.affine(base) if source else None
        if not self.coder.bit(self.models.affine, 0, wanted is not None):
            return base
        return add_affine(base, [self._integer(wanted[k] if wanted else 0) for k in range(6)])

    def _integer(self, value: int) -> int:
        """Code an integer of -8191..8191: four bits of width, then the magnitude, then the sign."""
        width = self.coder.even(4, abs(value).bit_length())
        if width > 13:
            raise CorruptStreamError("coded motion holds an affine field out of range")
        magnitude = self.coder.even(width, abs(value))
        return -magnitude if magnitude and self.coder.even(1, value < 0) else magnitude

    def _residual(self, near: int, wanted: Vector) -> Vector:
        if not self.coder.bit(self.models.moved, near, wanted != (0, 0)):
            return 0, 0
        x = self._component(0, wanted[0]) if self.coder.bit(self.models.nonzero, 0, wanted[0] != 0) else 0
        if x and not self.coder.bit(self.models.nonzero, 0, wanted[1] != 0):
            return x, 0
        return x, self._component(1, wanted[1])

    def _component(self, axis: int, wanted: int) -> int:
        """Code an integer other than zero."""
        negative = self.coder.bit(self.models.sign, axis, wanted < 0)
        magnitude = 1 + self._magnitude(axis * _ESCAPE, abs(wanted) - 1)
        return -magnitude if negative else magnitude

    def _magnitude(self, base: int, value: int) -> int:
        """Code 0, 1, 2, ...: up to twelve in unary with a context each, more in Exp-Golomb code."""
        for count in range(_ESCAPE):
            if not self.coder.bit(self.models.more, base + count, value > count):
                return count
        rest = value - _ESCAPE + 1
        width = 0
        while self.coder.even(1, rest >> (width + 1) > 0):
            width += 1
            if width > 14:
                raise CorruptStreamError("coded motion holds a vector out of range")
        return _ESCAPE - 1 + (1 << width) + self.coder.even(width, rest & ((1 << width) - 1))


def _median(plane: Grid, row: int, column: int, columns: int) -> int:
    """Return the median of the cells to the left, above, and above to the right, of which some may be missing."""
    if not row:
        return plane[0][column - 1] if column else 0
    above = plane[row - 1]
    if not column:
        return above[0]
    left, up = plane[row][column - 1], above[column]
    corner = above[column + 1] if column + 1 < columns else above[column - 1]
    return max(min(left, up), min(max(left, up), corner))


def _predict_opening(index: int, previous: Field | None, columns: int, rows: int) -> Field:
    """Steady motion: control ``index`` lies ``index + 1`` times as far from the opening anchor as the first."""
    if previous is None:
        return [[0] * columns for _ in range(rows)], [[0] * columns for _ in range(rows)]
    return _scaled(previous, index + 1, index)


def _scaled(field: Field, numerator: int, denominator: int) -> Field:
    """Return ``field * numerator / denominator``, rounded half up."""

    def scale(value: int) -> int:
        return (2 * value * numerator + denominator) // (2 * denominator)

    x, y = ([[_bounded(scale(value)) for value in row] for row in plane] for plane in field)
    return x, y


def _shifted(field: Field, now: Field, before: Field) -> Field:
    """Return ``field + now - before``: what moved against the opening anchor did so against the closing one."""
    x, y = (
        [[_bounded(a + b - c) for a, b, c in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]
        for planes in zip(field, now, before, strict=True)
    )
    return x, y


def _sum(base: Field, over: Field) -> Field:
    x, y = (
        [[_bounded(a + b) for a, b in zip(*rows, strict=True)] for rows in zip(*planes, strict=True)]
        for planes in zip(base, over, strict=True)
    )
    return x, y


def add_affine(base: Field, numbers: Sequence[int]) -> Field:
    """Return ``base`` plus the affine field of six integers.

    For each component three of them: the vector at the picture's centre in steps, then the slopes along x and y in
    1/256 step per half cell.
    """
    columns, rows = len(base[0][0]), len(base[0])
    x, y = (
        [
            [
                _bounded(
                    base[axis][r][c]
                    + (
                        (
                            256 * numbers[3 * axis]
                            + numbers[3 * axis + 1] * (2 * c + 1 - columns)
                            + numbers[3 * axis + 2] * (2 * r + 1 - rows)
                            + 128
                        )
                        >> 8
                    )
                )
                for c in range(columns)
            ]
            for r in range(rows)
        ]
        for axis in (0, 1)
    )
    return x, y


def _bounded(value: int) -> int:
    return max(-LARGEST_VECTOR, min(LARGEST_VECTOR, value))


def _to_control(opening: Field, closing: Field | None, side: Grid | None) -> Control:
    return Control(
        _to_vectors(opening),
        _to_vectors(closing) if closing else None,
        np.array(side, np.uint8) if side else None,
    )


def _to_vectors(field: Field) -> Vectors:
    return np.stack([np.array(plane, np.int16) for plane in field], axis=-1)
