"""The ``embedded`` extractor: measures colours, layout, textures and motion; needs no weights."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.bitstream.text import encode_text
from cmvc.media.picture import Picture
from cmvc.scene.grammar import COLUMNS, DIRECTIONS, ROWS, SPEEDS, Camera, Element, Move, Scene, write_scene
from cmvc.scene.palette import names_and_labs, nearest_name, rgb_to_lab, yuv_to_rgb
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.semantics.base import Description
from cmvc_encoder.semantics.layout import fit_elements, fit_size
from cmvc_encoder.semantics.movement import Movement, measure_movement

Floats = NDArray[np.float32]
MAX_ELEMENTS = 40  # more read like a list rather than like a scene
_ELEMENT_BYTES = 4  # of coded text; hardly any element takes less
_DETAIL_PIXELS = 320 * 180  # where textures are measured
_STILL = 0.015  # picture sizes per second that nobody sees
_BLANK = 1.2  # detail below which motion cannot be seen
_UNREST = 0.05  # and that make a thing of its own


@dataclass(frozen=True)
class _Sight:
    """What is measured of each pixel, all of one small size."""

    lab: Floats  # (height, width, 3)
    detail: Floats  # (height, width) of fine detail, in 8-bit luma steps
    level: Floats  # (height, width), share of the detail that is horizontal structure
    velocity: Floats  # (height, width, 2) on the screen
    unrest: Floats  # (height, width) against the camera


class EmbeddedExtractor:
    """Describes frames in the words of the scene grammar."""

    id = "embedded"

    def prepare(self, window: Window, runs: Sequence[range]) -> None:
        """Do nothing: measuring takes no time to speak of."""

    def describe(
        self,
        window: Window,
        frames: range,
        max_bytes: int = 120,
        said: Description | None = None,  # noqa: ARG002 - things have moved: it is said anew
    ) -> Description:
        """Describe consecutive frames of one shot; see ``SemanticExtractor``."""
        return self.describe_pictures(window.pictures[frames.start : frames.stop], window.frame_rate, max_bytes)

    def notes(self) -> list[str]:
        """Return nothing: measuring cannot fail."""
        return []

    def describe_pictures(self, pictures: Sequence[Picture], frame_rate: Fraction, max_bytes: int = 120) -> Description:
        """Describe consecutive pictures, at any size; else as ``describe``."""
        return shorten(self.scene(pictures, frame_rate, max_bytes // _ELEMENT_BYTES), max_bytes)

    def scene(self, pictures: Sequence[Picture], frame_rate: Fraction, most: int = MAX_ELEMENTS) -> Scene:
        """Return what was seen, the most important first, of at most ``most`` elements."""
        movement = measure_movement(pictures, frame_rate)
        sight = _look(pictures[len(pictures) // 2], movement)
        moving = np.minimum(sight.unrest / _UNREST, 1.0)
        weight = (1 + 3 * moving + 0.5 * _middle(moving.shape)).astype(np.float32)
        background = nearest_name(_main_color(sight.lab, weight))
        fitted = fit_elements(sight.lab, weight, background, min(most, MAX_ELEMENTS))
        elements: list[Element] = []
        moves: dict[tuple[str, str], Move] = {}
        for shape, opacity in fitted:
            element, move = _name(shape, opacity, sight, movement)
            elements.append(element)
            if move:
                moves.setdefault((move.colour, move.noun), move)
        whole = Element(background)
        named, _ = _name(whole, np.ones_like(sight.detail), sight, movement)
        noun = named.noun if named.noun in ("trees", "grass", "pattern", "ground", "text") else "wall"
        return Scene(
            Element(background, noun), tuple(elements), _camera(movement), tuple(moves.values()), _light(movement)
        )


def shorten(scene: Scene, max_bytes: int) -> Description:
    """Return the longest description of ``scene`` within ``max_bytes`` of coded text: last elements go first."""
    best = Description("", "")
    low, high = 0, len(scene.elements)
    while low <= high:
        middle = (low + high + 1) // 2
        found = _written(scene, middle)
        if len(encode_text(found.text)) <= max_bytes:
            best, low = found, middle + 1
        else:
            high = middle - 1
    if best.content or max_bytes < 8:
        return best
    for bare in (replace(scene, elements=(), moves=()), Scene(scene.background)):
        found = _written(bare, 0)
        if len(encode_text(found.text)) <= max_bytes:
            return found
    return best


def _written(scene: Scene, count: int) -> Description:
    """Write the first ``count`` elements and the moves that are about them."""
    elements = scene.elements[:count]
    named = {(e.colour, e.noun) for e in elements}
    moves = tuple(m for m in scene.moves if (m.colour, m.noun) in named)
    return Description(*write_scene(replace(scene, elements=elements, moves=moves)))


def _look(picture: Picture, movement: Movement) -> _Sight:
    width, height = fit_size(picture.width, picture.height)
    size = (width, height)

    def fit(plane: NDArray[np.generic]) -> Floats:
        return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)

    yuv = np.stack([fit(plane) for plane in picture.planes], -1)
    detail, level = _texture(picture)
    return _Sight(rgb_to_lab(yuv_to_rgb(yuv)), fit(detail), fit(level), fit(movement.velocity), fit(movement.unrest))


def _texture(picture: Picture) -> tuple[Floats, Floats]:
    """Return the strength of fine detail and how horizontal it is, at some 320 x 180."""
    scale = min((_DETAIL_PIXELS / (picture.width * picture.height)) ** 0.5, 1.0)
    size = (max(round(picture.width * scale), 8), max(round(picture.height * scale), 8))
    luma = cv2.resize(picture.y, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 3)
    across, down = (np.abs(cv2.Sobel(luma, cv2.CV_32F, *d)) for d in ((1, 0), (0, 1)))
    return np.abs(fine), np.asarray((down + 1) / (across + down + 2), np.float32)


def _middle(shape: tuple[int, ...]) -> Floats:
    """Return how central each pixel is, 0..1."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.asarray(np.exp(-1.5 * (x**2 + y**2)), np.float32)


def _main_color(lab: Floats, weight: Floats) -> Floats:
    """Return the CIELAB of the palette colour that most of the picture is near to."""
    _, labs = names_and_labs()
    pixels = lab.reshape(-1, 3)
    near = np.exp(-((pixels[:, None] - labs[None]) ** 2).sum(-1) / (2 * 12.0**2))
    return np.asarray(labs[int(np.argmax(weight.reshape(-1) @ near))], np.float32)


def _name(shape: Element, opacity: Floats, sight: _Sight, movement: Movement) -> tuple[Element, Move | None]:
    """Return the element with the noun that its measurements speak for, and its own motion, if any."""
    share = opacity / opacity.sum()

    def mean(values: Floats) -> float:
        return float((share * values).sum())

    move = _move(share, sight, movement) if shape.size not in ("huge",) and shape.noun == "patch" else None
    names, labs = names_and_labs()
    light, a, b = (float(v) for v in labs[names.index(shape.colour)])
    chroma, hue = float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a))) % 360
    seen = _Seen(
        light, chroma, hue, mean(sight.detail), mean(sight.level), COLUMNS[shape.column], ROWS[shape.row],
        shape.size, shape.shape in ("wide", "long", "thin"), shape.noun == "panel", _is_document(sight.lab), move,
    )  # fmt: skip
    element = replace(shape, noun=_noun(seen))
    return element, move and replace(move, colour=element.colour, noun=element.noun)


def _is_document(lab: Floats) -> bool:
    """Say whether much of the picture is white as paper."""
    return bool(((lab[..., 0] > 80) & (np.hypot(lab[..., 1], lab[..., 2]) < 8)).mean() > 0.35)


@dataclass(frozen=True)
class _Seen:
    """What a noun is chosen from."""

    light: float
    chroma: float
    hue: float
    detail: float
    level: float
    x: float
    y: float
    size: str
    long: bool
    box: bool
    document: bool
    move: Move | None


def _noun(seen: _Seen) -> str:  # noqa: PLR0911 - a list of rules, one line each
    skin = (seen.hue < 80 or seen.hue > 350) and 6 < seen.chroma < 45 and 30 < seen.light < 90
    green = 95 < seen.hue < 175 and seen.chroma > 9
    if seen.move:
        return "face" if skin and seen.light > 45 and seen.size in ("small", "", "tiny") and seen.y < 0.6 else "figure"
    if seen.document and seen.detail > 5:
        return "text"
    if seen.box:
        return "panel"
    if seen.y < 0.4 and seen.light > 60 and seen.detail < 3.5 and (seen.chroma < 15 or 200 < seen.hue < 300):
        return "sky"
    if seen.detail > 3 and green:
        return "grass" if seen.y > 0.6 and seen.light > 30 else "trees"
    if skin and seen.chroma > 8 and seen.light > 45 and 0.3 < seen.x < 0.7 and seen.y < 0.7 and not seen.long:
        return "face" if seen.size in ("", "large") and seen.detail < 8 else "patch"
    cool = seen.chroma < 12 or 150 < seen.hue < 290
    if cool and seen.detail > 2 and seen.y > 0.45 and seen.level > 0.56 and seen.size in ("huge", "large", ""):
        return "water"
    if seen.y > 0.6 and seen.detail > 2 and seen.size in ("huge", "large", ""):
        return "ground"
    return "pattern" if seen.detail > 10 else "patch"


def _move(share: Floats, sight: _Sight, movement: Movement) -> Move | None:
    """Return the motion of what ``share`` covers where it is not the camera's."""
    if float((share * sight.detail).sum()) < _BLANK:
        return None
    unrest = float((share * sight.unrest).sum())
    velocity = (share[..., None] * sight.velocity).sum((0, 1))
    speed = float(np.hypot(*velocity))
    camera = float(np.hypot(movement.pan, movement.tilt))
    if camera > 2 * _UNREST:
        if speed < 0.4 * camera:
            return Move("", "", way="stays")
        along = -(velocity[0] * movement.pan + velocity[1] * movement.tilt) / camera
        if along > 0.75 * speed and along < 2.5 * camera:
            return None  # nearer or farther than most of the picture, but at rest
    if unrest < _UNREST:
        return None
    if speed < max(0.35 * unrest, _STILL):
        way = "sways" if unrest < 0.25 else "flutters"
        return Move("", "", "", _speed(unrest), way)
    return Move("", "", _direction(velocity), _speed(speed))


def _speed(value: float) -> str:
    """Return the speed word nearest in proportion."""
    return min(SPEEDS, key=lambda word: abs(np.log(SPEEDS[word] / max(value, 1e-3))))


def _direction(velocity: Floats) -> str:
    def along(word: str) -> float:
        across, down = DIRECTIONS[word]
        return float((across * velocity[0] + down * velocity[1]) / np.hypot(across, down))

    return max(DIRECTIONS, key=along)


def _camera(movement: Movement) -> Camera:
    words: dict[str, str] = {}
    for name, value, (minus, plus) in (
        ("pan", movement.pan, ("left", "right")),
        ("tilt", movement.tilt, ("up", "down")),
        ("zoom", movement.zoom, ("out", "in")),
    ):
        if abs(value) > _STILL:
            words |= {name: plus if value > 0 else minus, f"{name}_speed": _speed(abs(value))}
    shake = "shakes" if movement.shake > 0.25 else "shakes slightly" if movement.shake > 0.1 else ""
    return Camera(**words, shake=shake)


def _light(movement: Movement) -> str:
    if movement.flicker > 0.05:
        return "flickers"
    if abs(movement.brightening) > 0.1:
        return "brightens" if movement.brightening > 0 else "fades"
    return ""
