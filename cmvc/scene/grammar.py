"""The scene grammar: typed records to plain English and back (docs/scene-grammar.md).

``write_scene`` and ``read_scene`` are inverse on the grammar's own words. ``read_scene`` takes any other text too: what
it does not know it skips, what is missing it leaves at rest in the middle.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

from cmvc.scene.palette import find_colour

SIZES = {"tiny": 0.07, "small": 0.13, "": 0.24, "large": 0.44, "huge": 0.82}  # diameter / sqrt(width * height)
SHAPES = {"thin": 0.2, "tall": 0.45, "": 1.0, "wide": 2.2, "long": 5.0}  # width / height
TILTS = {"falling": 0.6, "": 0.0, "rising": -0.6}  # clockwise turn in radians


def _with_halves(steps: dict[str, float]) -> dict[str, float]:
    """Return the steps and, as "inner" ones, the places half a step nearer to the middle."""
    gap = 0.12  # between neighbours
    inner = {f"inner {name}": at + (gap / 2 if at < 0.5 else -gap / 2) for name, at in steps.items() if name}
    return steps | inner


WHOLE_COLUMNS = {
    "far left": 0.02, "left": 0.14, "mid left": 0.26, "centre left": 0.38, "": 0.5,
    "centre right": 0.62, "mid right": 0.74, "right": 0.86, "far right": 0.98,
}  # fmt: skip
WHOLE_ROWS = {
    "top": 0.02, "high": 0.14, "upper": 0.26, "mid upper": 0.38, "": 0.5,
    "mid lower": 0.62, "lower": 0.74, "low": 0.86, "bottom": 0.98,
}  # fmt: skip
COLUMNS = _with_halves(WHOLE_COLUMNS)  # share of the width
ROWS = _with_halves(WHOLE_ROWS)  # share of the height
SPEEDS = {"very slowly": 0.03, "slowly": 0.08, "steadily": 0.18, "fast": 0.4, "very fast": 0.85}  # sizes per second
DIRECTIONS = {
    "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1),
    "up left": (-1, -1), "up right": (1, -1), "down left": (-1, 1), "down right": (1, 1),
}  # fmt: skip
WAYS = (
    "sways",
    "bobs",
    "flutters",
    "stays",
)  # back to where it began; "stays" keeps its place in the picture as the camera moves
LIGHTS = ("fades", "brightens", "flickers")
SHAKES = ("", "shakes slightly", "shakes")


@dataclass(frozen=True)
class Look:
    """How a noun is drawn.

    Attributes:
        texture: name of the texture, "" for smooth.
        edge: width of its soft edge, as a share of its radius.
        box: drawn as a rectangle rather than as an oval.
        shadow: throws a soft shadow.
    """

    texture: str = ""
    edge: float = 0.25
    box: bool = False
    shadow: bool = False


NOUNS = {
    "patch": Look(),
    "panel": Look(edge=0.06, box=True),
    "sky": Look("clouds", 0.5),
    "trees": Look("leaves", 0.3),
    "grass": Look("blades", 0.3),
    "water": Look("ripples", 0.35),
    "ground": Look("grains", 0.3),
    "wall": Look("plaster", 0.08, box=True),
    "text": Look("lines", 0.05, box=True),
    "pattern": Look("cells", 0.12),
    "figure": Look(edge=0.15, shadow=True),
    "face": Look(edge=0.2),
    "shadow": Look(edge=0.6),
    "glow": Look(edge=0.7),
}
# Nouns of ordinary English that the grammar itself never writes, by the noun that looks most like them.
NOUN_ALIASES = {
    **dict.fromkeys(("tree", "forest", "leaves", "foliage", "bush", "bushes", "hedge", "plants", "jungle"), "trees"),
    **dict.fromkeys(("lawn", "field", "meadow", "park", "pitch"), "grass"),
    **dict.fromkeys(("sea", "ocean", "lake", "river", "pond", "pool", "waves", "rain"), "water"),
    **dict.fromkeys(("sand", "road", "street", "floor", "path", "beach", "soil", "mountain", "rock"), "ground"),
    **dict.fromkeys(("building", "house", "room", "wood", "brick", "fence"), "wall"),
    **dict.fromkeys(("man", "woman", "person", "people", "girl", "boy", "child", "dog", "cat", "bird"), "figure"),
    **dict.fromkeys(("car", "ball", "bus", "boat", "horse", "runner", "player", "object", "truck"), "figure"),
    **dict.fromkeys(("swan", "duck", "fish", "animal", "animals", "persons", "men", "women", "children"), "figure"),
    **dict.fromkeys(("head", "portrait", "skin"), "face"),
    **dict.fromkeys(("document", "page", "words", "letters", "book", "sign"), "text"),
    **dict.fromkeys(("screen", "window", "door", "box", "table", "poster"), "panel"),
    **dict.fromkeys(("sun", "lamp", "lamps", "fire", "moon"), "glow"),
    **dict.fromkeys(("clouds", "cloud", "heaven", "horizon"), "sky"),
    **dict.fromkeys(("crowd", "clutter", "city", "flowers", "traffic"), "pattern"),
}  # fmt: skip


@dataclass(frozen=True)
class Element:
    """One thing in the picture; every field is a word of the grammar ("" is the middle one of each scale)."""

    colour: str
    noun: str = "patch"
    size: str = ""
    shape: str = ""
    tilt: str = ""
    column: str = ""
    row: str = ""


@dataclass(frozen=True)
class Move:
    """Motion of every element of one colour and noun: along ``direction`` at ``speed``, or in place in some ``way``."""

    colour: str
    noun: str
    direction: str = ""
    speed: str = "steadily"
    way: str = ""


@dataclass(frozen=True)
class Camera:
    """Motion of the camera: speeds with their direction, "" where it rests.

    Attributes:
        pan: "left" or "right"; tilt: "up" or "down"; zoom: "in" or "out".
        pan_speed, tilt_speed, zoom_speed: of ``SPEEDS``.
        shake: of ``SHAKES``.
    """

    pan: str = ""
    pan_speed: str = "steadily"
    tilt: str = ""
    tilt_speed: str = "steadily"
    zoom: str = ""
    zoom_speed: str = "steadily"
    shake: str = ""


@dataclass(frozen=True)
class Scene:
    """A short run of frames: a background, elements in the order in which they are painted, and motion."""

    background: Element
    elements: tuple[Element, ...] = ()
    camera: Camera = Camera()
    moves: tuple[Move, ...] = ()
    light: str = ""


def write_scene(scene: Scene) -> tuple[str, str]:
    """Return the content line and the motion line."""
    background = f"{scene.background.colour} {scene.background.noun} background"
    content = ", ".join([background, *map(_write_element, scene.elements)])
    sentences = [_write_camera(scene.camera), *map(_write_move, scene.moves)]
    if scene.light:
        sentences.append(f"the light {scene.light}")
    motion = ". ".join(s[:1].upper() + s[1:] for s in sentences if s)
    return content[:1].upper() + content[1:] + ".", motion and motion + "."


def _write_element(element: Element) -> str:
    place = f"{element.row} {element.column}".strip() or "centre"
    words = (element.size, element.shape, element.tilt, element.colour, element.noun, place)
    return " ".join(filter(None, words))


def _write_speed(speed: str) -> str:
    return "" if speed == "steadily" else f" {speed}"


def _write_camera(camera: Camera) -> str:
    parts = []
    if camera.pan:
        parts.append(f"pans {camera.pan}{_write_speed(camera.pan_speed)}")
    if camera.tilt:
        parts.append(f"tilts {camera.tilt}{_write_speed(camera.tilt_speed)}")
    if camera.zoom:
        parts.append(f"zooms {camera.zoom}{_write_speed(camera.zoom_speed)}")
    if camera.shake:
        parts.append(camera.shake)
    return f"camera {', '.join(parts)}" if parts else ""


def _write_move(move: Move) -> str:
    how = move.way or f"moves {move.direction}"
    return f"the {move.colour} {move.noun} {how}{_write_speed(move.speed)}"


_WORD = re.compile(r"[a-z]+")
_MOTION_VERBS = {
    **dict.fromkeys(("moves", "moving", "move", "goes", "walks", "walking", "runs", "running"), ""),
    **dict.fromkeys(("drives", "driving", "flies", "flying", "swims", "swimming", "rides", "riding"), ""),
    **dict.fromkeys(("falls", "rises", "turns", "rolls"), ""),
    **dict.fromkeys(("sways", "swaying", "dances", "dancing", "talks", "talking", "speaks", "nods"), "sways"),
    **dict.fromkeys(("bobs", "bobbing", "bounces", "bouncing", "jumps", "jumping", "juggles"), "bobs"),
    **dict.fromkeys(("flutters", "fluttering", "shimmers", "trembles", "waves", "waving"), "flutters"),
    **dict.fromkeys(("stays", "stands", "sits", "rests", "remains"), "stays"),
}  # fmt: skip
_SLOW = ("slow", "gently", "calmly", "softly", "slightly")
_FAST = ("quickly", "rapidly", "swiftly", "quick", "rapid")


def _words(text: str) -> list[str]:
    text = text.lower().replace("center", "centre").replace("gray", "grey").replace("slowly", "slow")
    return _WORD.findall(text)


def read_scene(text: str) -> Scene:
    """Return the scene that ``text`` describes; any text gives one."""
    content, _, motion = text.partition("\n")
    clauses = [words for part in re.split(r"[,.;:!?()]|\band\b|\bwith\b", content) if (words := _words(part))]
    background: Element | None = None
    elements: list[Element] = []
    for words in clauses:
        element = _read_element(words)
        if element is None:
            continue
        if background is None and "background" in words:
            background = element
        else:
            elements.append(element)
    if background is None:
        background = _guess_background(elements)
    sentences = [words for part in re.split(r"[.;!?\n]", motion or content) if (words := _words(part))]
    camera, moves, light = _read_motion(sentences)
    return Scene(background, tuple(elements), camera, moves, light)


def _guess_background(elements: list[Element]) -> Element:
    """Take the colour of what is largest; a middle grey where nothing is known."""
    if not elements:
        return Element("grey")
    return Element(max(elements, key=lambda e: SIZES[e.size]).colour)


def _noun(words: list[str]) -> str | None:
    return next((NOUN_ALIASES.get(w, w) for w in words if w in NOUNS or w in NOUN_ALIASES), None)


# What a noun looks like where a text names no colour for it.
_USUAL_COLOUR = {
    "sky": "pale azure", "trees": "dark green", "grass": "green", "water": "deep dull azure", "ground": "dull brown",
    "wall": "pale dull gold", "text": "white", "face": "light orange", "figure": "dark dull blue",
    "glow": "pale yellow", "shadow": "charcoal", "pattern": "grey", "panel": "light grey", "patch": "grey",
}  # fmt: skip
_USUAL_PLACE = {
    "sky": ("huge", "long", "top"), "grass": ("huge", "long", "bottom"), "ground": ("huge", "long", "bottom"),
    "water": ("huge", "long", "low"), "trees": ("huge", "wide", "upper"),
}  # fmt: skip


def _read_element(words: list[str]) -> Element | None:
    """Return the element of one clause; None where it names neither a colour nor a thing."""
    colour, noun = find_colour(words), _noun(words)
    if colour is None and noun is None:
        return None
    place = [w for w in words if w not in ("centre", "middle")]
    row = _row(words)
    size = next((w for w in words if w in SIZES), "")
    shape = next((w for w in words if w in SHAPES), "")
    column = _column(words)
    if colour is None and place and not (row or column or size or shape):
        size, shape, row = _USUAL_PLACE.get(noun or "", ("", "", ""))
    tilt = next((w for w in words if w in TILTS), "")
    found = colour or _USUAL_COLOUR[noun or "patch"]
    return Element(found, noun or "patch", size, shape, tilt, column, row)


def _column(words: list[str]) -> str:
    return _place(words, ("left", "right"), ("far", "mid", "centre"), COLUMNS)


def _row(words: list[str]) -> str:
    return _place(words, ("top", "high", "upper", "lower", "low", "bottom"), ("mid",), ROWS)


def _place(words: list[str], bases: tuple[str, ...], modifiers: tuple[str, ...], known: dict[str, float]) -> str:
    """Return the longest known place that ends in the first of ``bases``."""
    at = next((i for i, word in enumerate(words) if word in bases), None)
    if at is None:
        return ""
    name = words[at]
    if at and words[at - 1] in modifiers and f"{words[at - 1]} {name}" in known:
        at, name = at - 1, f"{words[at - 1]} {name}"
    return f"inner {name}" if at and words[at - 1] == "inner" else name


def _speed(words: list[str]) -> str:
    for i, word in enumerate(words):
        very = "very " if i and words[i - 1] == "very" else ""
        if word in _SLOW:
            return very + "slowly"
        if word == "fast" or word in _FAST:
            return very + "fast"
    return "steadily"


def _read_motion(sentences: list[list[str]]) -> tuple[Camera, tuple[Move, ...], str]:
    camera, moves, light = Camera(), [], ""
    for words in sentences:
        if "camera" in words:
            camera = _read_camera(words[words.index("camera") + 1 :])
        elif "light" in words and (found := next((w for w in words if w in LIGHTS), "")):
            light = found
        elif move := _read_move(words):
            moves.append(move)
    return camera, tuple(moves), light


_CAMERA_VERBS = ("pans", "pan", "panning", "tilts", "tilt", "tilting", "zooms", "zoom", "zooming", "shakes", "shaking")


def _read_camera(words: list[str]) -> Camera:
    """Read each verb with the words up to the next one."""
    starts = [i for i, w in enumerate(words) if w in _CAMERA_VERBS]
    found: dict[str, str] = {}
    for start, end in pairwise([*starts, len(words)]):
        kind, rest = words[start][:3], words[start:end]
        if kind == "sha":
            found["shake"] = "shakes slightly" if "slightly" in rest else "shakes"
            continue
        name, choices = {
            "pan": ("pan", ("left", "right")),
            "til": ("tilt", ("up", "down")),
            "zoo": ("zoom", ("in", "out")),
        }[kind]
        direction = next((w for w in rest if w in choices), "")
        if direction:
            found |= {name: direction, f"{name}_speed": _speed(rest)}
    return Camera(**found)


def _read_move(words: list[str]) -> Move | None:
    at = next((i for i, w in enumerate(words) if w in _MOTION_VERBS), None)
    if at is None:
        return None
    subject, rest = words[:at], words[at + 1 :]
    vertical = next((w for w in rest if w in ("up", "down")), "")
    horizontal = next((w for w in rest if w in ("left", "right")), "")
    direction = f"{vertical} {horizontal}".strip()
    way = _MOTION_VERBS[words[at]]
    if not way and not direction:
        way = "sways"
    return Move(find_colour(subject) or "", _noun(subject) or "", "" if way else direction, _speed(rest), way)
