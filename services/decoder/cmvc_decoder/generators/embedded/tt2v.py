"""TT2V: a moving painting of the scene that a text describes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture, chroma_size
from cmvc.scene.grammar import DIRECTIONS, NOUNS, SPEEDS, Element, Move, Scene, read_scene
from cmvc.scene.palette import palette, rgb_to_yuv
from cmvc.scene.shape import cover, grid, radius
from cmvc_decoder.generator import Conditions
from cmvc_decoder.generators.embedded.textures import make_texture

Floats = NDArray[np.float32]
_PIXELS = 480 * 270  # painted at this size at most, then scaled up: soft, and fast enough
_FARTHEST_S = DEFAULT_LIMITS.segment_seconds / 2  # from a segment's middle; bounds how far the camera goes
_BEAT = np.float32(np.pi)  # radians per second of everything that swings: whole turns in the usual two seconds
_OUTLINE = 0.16  # how far an outline strays from its oval, as a share of its radius
_RAGGED = {"leaves": 0.5, "blades": 0.3, "clouds": 0.4}
_STIR = {"ripples": 2.2, "leaves": 0.8, "blades": 0.6}  # how far a texture swings, in pixels of a 240-line picture


@dataclass
class _Layer:
    """A painting with its opacity; ``move`` is None for what moves with the camera."""

    color: Floats  # (height, width, 3) Y'CbCr
    opacity: Floats  # (height, width)
    move: Move | None = None


@dataclass
class _Brush:
    """Paints elements at one size; makes each texture once."""

    width: int
    height: int
    seed: int
    _textures: dict[str, Floats] = field(default_factory=dict)

    def texture(self, name: str) -> Floats:
        if name not in self._textures:
            self._textures[name] = make_texture(name, self.width, self.height, self.seed)
        return self._textures[name]

    def outline(self) -> Floats:
        """Return the smooth field by which outlines stray."""
        return np.asarray(self.texture("clouds") / 6 + self.texture("leaves") / 60, np.float32)

    def paint(self, layer: _Layer, element: Element) -> None:
        """Paint one element onto ``layer``."""
        look = NOUNS[element.noun]
        x, y = grid(self.width, self.height)
        distance = radius(element, x, y, self.width / self.height)
        if not look.box:
            distance = distance * (1 + _OUTLINE * self.outline())
            ragged = _RAGGED.get(look.texture, 0.0)
            if ragged:
                distance = distance + np.float32(ragged / 30) * self.texture(look.texture)
        opacity = cover(distance, look.edge)[..., None]
        if look.shadow:
            shade = cover(distance - 0.25, 0.9)
            layer.color[..., 0] *= 1 - 0.16 * shade * (layer.opacity if layer.move else 1)
        layer.color += opacity * (self.fill(element) - layer.color)
        layer.opacity += opacity[..., 0] * (1 - layer.opacity)

    def fill(self, element: Element) -> Floats:
        """Return the element's colour with its texture over the whole picture."""
        yuv = rgb_to_yuv(palette()[element.colour])
        texture = self.texture(NOUNS[element.noun].texture)
        room = np.float32(min(yuv[0] - 10, 240 - yuv[0]) / 40)  # dark and bright colours bear less
        fill = np.empty((self.height, self.width, 3), np.float32)
        fill[..., 0] = yuv[0] + texture * np.clip(room, 0.15, 1)
        fill[..., 1:] = yuv[1:]
        return fill


def render(conditions: Conditions, control: Control) -> Iterator[Picture]:
    """Yield the frames of the scene that ``conditions.text`` describes; any text gives one.

    The text describes the middle of the segment; motion runs through it, so that neighbours meet.
    """
    scene = read_scene(conditions.text)
    scale = min(1.0, (_PIXELS / (conditions.width * conditions.height)) ** 0.5)
    width, height = (max(round(side * scale), 2) for side in (conditions.width, conditions.height))
    control.check()
    layers, stir = _paint(scene, _Brush(width, height, conditions.seed), control)
    film = _Film(scene, layers, stir)
    middle = (conditions.frames - 1) / 2
    for index in range(conditions.frames):
        control.check()
        seconds = float((index - middle) / conditions.frame_rate)
        yield _develop(film.frame(seconds), conditions.width, conditions.height)


def _paint(scene: Scene, brush: _Brush, control: Control) -> tuple[list[_Layer], Floats]:
    """Return the background layer, then one per move, and how far each pixel of the background stirs."""
    shape = (brush.height, brush.width)
    plate = _Layer(brush.fill(scene.background), np.ones(shape, np.float32))
    movers = {
        move: _Layer(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.float32), move) for move in scene.moves
    }
    stir = np.full(shape, _STIR.get(NOUNS[scene.background.noun].texture, 0.0), np.float32)
    x, y = grid(brush.width, brush.height)
    for element in scene.elements:
        control.check()
        move = next((m for m in scene.moves if _fits(m, element)), None)
        if move:
            layer = movers[move]
            untouched = layer.opacity < 1e-3
            layer.color[untouched] = rgb_to_yuv(palette()[element.colour])
            brush.paint(layer, element)
            continue
        brush.paint(plate, element)
        opacity = cover(radius(element, x, y, brush.width / brush.height), 0.4)
        stir += opacity * (_STIR.get(NOUNS[element.noun].texture, 0.0) - stir)
    return [plate, *movers.values()], stir * (brush.height / 240)


def _fits(move: Move, element: Element) -> bool:
    """Say whether the move is about the element; what the text leaves open fits everything but the surroundings."""
    surroundings = element.noun in ("sky", "trees", "grass", "ground", "water", "wall") and not move.noun
    return move.colour in ("", element.colour) and move.noun in ("", element.noun) and not surroundings


class _Film:
    """Moves painted layers through time."""

    def __init__(self, scene: Scene, layers: list[_Layer], stir: Floats) -> None:
        self._scene = scene
        self._plate = _to_bytes(layers[0].color)
        self._movers = [(layer.move, _to_bytes(layer.color), layer.opacity) for layer in layers[1:] if layer.move]
        self._height, self._width = stir.shape
        self._unit = float(np.sqrt(self._width * self._height))
        rows, columns = np.mgrid[: self._height, : self._width].astype(np.float32)
        self._rows, self._columns = rows, columns
        self._near = 0.8 + 0.4 * rows / self._height  # what is lower is nearer and moves more
        self._stir = stir if stir.any() else None
        turn = rows * np.float32(40 / self._height) + columns * np.float32(14 / self._width)
        self._swing = (stir * np.sin(turn), stir * np.cos(turn))

    def frame(self, seconds: float) -> NDArray[np.uint8]:
        """Return the frame (height, width, 3) Y'CbCr at ``seconds`` from the segment's middle.

        Beyond what a segment may last all stands still: a zoom grows without end, and OpenCV folds coordinates back
        into the picture one width at a time, where nothing can stop it.
        """
        seconds = min(max(seconds, -_FARTHEST_S), _FARTHEST_S)
        columns, rows = self._camera(seconds)
        if self._stir is not None:
            swing = self._swing[0] * np.cos(2 * _BEAT * seconds) + self._swing[1] * np.sin(2 * _BEAT * seconds)
            columns, rows = columns + swing, rows + 0.4 * swing
        moved = cv2.remap(self._plate, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        frame = np.asarray(moved, np.uint8)
        for move, color, opacity in self._movers:
            _overlay(frame, color, opacity, self._travel(move, seconds))
        return self._lit(frame, seconds)

    def _camera(self, seconds: float) -> tuple[Floats, Floats]:
        """Return where each pixel of the frame lies on the painting."""
        camera = self._scene.camera
        pan = _signed(camera.pan, "left", "right", camera.pan_speed) * seconds
        tilt = _signed(camera.tilt, "up", "down", camera.tilt_speed) * seconds
        grow = float(np.exp(-_signed(camera.zoom, "out", "in", camera.zoom_speed) * seconds))
        shake = {"": 0.0, "shakes slightly": 0.006, "shakes": 0.016}[camera.shake]
        pan += shake * (np.sin(5 * _BEAT * seconds) + 0.5 * np.sin(3 * _BEAT * seconds + 1))
        tilt += shake * (np.sin(4 * _BEAT * seconds + 2) + 0.5 * np.sin(7 * _BEAT * seconds))
        center_x, center_y = (self._width - 1) / 2, (self._height - 1) / 2
        columns = (self._columns - center_x) * grow + (center_x + self._unit * pan * self._near)
        rows = (self._rows - center_y) * grow + (center_y + self._unit * tilt)
        return columns.astype(np.float32), rows.astype(np.float32)

    def _travel(self, move: Move, seconds: float) -> tuple[float, float]:
        """Return how far a thing is from its place, in pixels."""
        speed = SPEEDS[move.speed] * self._unit
        if move.way == "sways":
            return speed / float(_BEAT) * float(np.sin(_BEAT * seconds)), 0.0
        if move.way == "bobs":
            return 0.0, speed / float(_BEAT) * float(np.cos(2 * _BEAT * seconds))
        if move.way == "flutters":
            return tuple(speed / 8 * float(np.sin(f * _BEAT * seconds)) for f in (5, 7))  # type: ignore[return-value]
        across, down = DIRECTIONS.get(move.direction, (0, 0))
        length = max(float(np.hypot(across, down)), 1.0)
        return across / length * speed * seconds, down / length * speed * seconds

    def _lit(self, frame: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        gain = {
            "fades": 1 - 0.12 * seconds,
            "brightens": 1 + 0.12 * seconds,
            "flickers": 1 + 0.08 * float(np.sin(6 * _BEAT * seconds)),
        }.get(self._scene.light)
        if gain is not None:
            frame[..., 0] = cv2.convertScaleAbs(frame[..., 0], alpha=max(gain, 0.2))
            np.clip(frame[..., 0], 16, 235, out=frame[..., 0])
        return frame


def _signed(direction: str, minus: str, plus: str, speed: str) -> float:
    return SPEEDS[speed] * {minus: -1, plus: 1}.get(direction, 0)


def _overlay(frame: NDArray[np.uint8], color: NDArray[np.uint8], opacity: Floats, offset: tuple[float, float]) -> None:
    """Blend a thing onto the frame, displaced by ``offset`` pixels; only its own rectangle is touched."""
    height, width = opacity.shape
    box = cv2.boundingRect((opacity > 0.004).astype(np.uint8))
    left, top = int(np.floor(box[0] + offset[0])) - 1, int(np.floor(box[1] + offset[1])) - 1
    right, bottom = min(left + box[2] + 3, width), min(top + box[3] + 3, height)
    left, top = max(left, 0), max(top, 0)
    if right <= left or bottom <= top:
        return
    shift = np.array([[1, 0, offset[0] - left], [0, 1, offset[1] - top]], np.float32)
    size = (right - left, bottom - top)
    moved = cv2.warpAffine(color, shift, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(opacity, shift, size)[..., None]
    under = frame[top:bottom, left:right]
    under[:] = under + alpha * (moved.astype(np.float32) - under)


def _to_bytes(color: Floats) -> NDArray[np.uint8]:
    return np.clip(np.rint(color), 16, (235, 240, 240)).astype(np.uint8)


def _develop(frame: NDArray[np.uint8], width: int, height: int) -> Picture:
    """Scale the planes to the output's size."""
    y, u, v = cv2.split(frame)
    small = chroma_size(width, height)
    return Picture(
        np.asarray(cv2.resize(y, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8),
        np.asarray(cv2.resize(u, small, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(v, small, interpolation=cv2.INTER_AREA), np.uint8),
    )
