"""The two shots of the demo clip: a village road in the afternoon and a lake at sunset."""

from collections.abc import Callable

import cv2
import numpy as np

from examples.demo.paint import Color, Image, gradient, noise, put, put_band
from examples.demo.things import balloon, boat, car, house, tree, turned, wheel

WIDTH, HEIGHT = 854, 480
Shot = Callable[[float], Image]
"""Makes the picture at a time in seconds from the shot's start."""

_FOCAL = 700.0  # pixels
_EYE = 1.7  # metres above the ground
_TRAVEL = 1.0  # metres per second that the camera moves to the right


def _mix(a: Image, color: Color, amount: float) -> Image:
    """Return a sprite faded towards a colour, as haze does."""
    faded = a.copy()
    faded[..., :3] = a[..., :3] * (1 - amount) + np.asarray(color, np.float32) * a[..., 3:] * amount
    return faded


def _ridge(rng: np.random.Generator, size: tuple[int, int], cell: float, low: Color, high: Color) -> Image:
    """Return a mountain ridge or a row of hills as a band of (width, height), lit from the left."""
    width, height = size
    relief = noise(rng, width, 64, cell, 6)[32]
    top = height * (0.42 - 0.16 * np.clip(relief, -2, 2))
    rows = np.arange(height, dtype=np.float32)[:, None]
    alpha = np.clip(rows - top[None] + 0.5, 0, 1).astype(np.float32)[..., None]
    slope = np.gradient(cv2.GaussianBlur(top[None], (0, 0), 3)[0])
    grain = noise(rng, width, height, cell / 5, 5)
    light = 1 - 0.28 * np.clip(slope, -1, 1)[None] + 0.09 * grain
    depth = np.clip((rows - top[None]) / height, 0, 1)[..., None]
    color = np.asarray(high, np.float32) * (1 - depth) + np.asarray(low, np.float32) * depth
    return np.concatenate([np.clip(color * light[..., None], 0, 1) * alpha, alpha], axis=-1).astype(np.float32)


def _clouds(rng: np.random.Generator, size: tuple[int, int], lit: Color, shaded: Color, cover: float) -> Image:
    """Return a band of clouds: their density is noise over a threshold, their undersides are shaded."""
    width, height = size
    density = cv2.resize(noise(rng, width, 2 * height, 150, 7), (width, height), interpolation=cv2.INTER_AREA)
    fade = np.linspace(1.0, 0.25, height, dtype=np.float32)[:, None]
    alpha = np.clip((density - (1 - cover)) * 0.9, 0, 1) * fade
    above = np.pad(cv2.GaussianBlur(density, (0, 0), 6), ((10, 0), (0, 0)), mode="edge")[:height]
    shadow = np.clip((above - density) * 0.35 + 0.35 + 0.2 * alpha, 0, 1)[..., None]
    color = np.asarray(lit, np.float32) * (1 - shadow) + np.asarray(shaded, np.float32) * shadow
    return np.concatenate([color * alpha[..., None], alpha[..., None]], axis=-1).astype(np.float32)


def _ground(rng: np.random.Generator, horizon: int, reach: float) -> tuple[Image, Image]:
    """Return the ground unrolled and the depth of each of its rows.

    Each row is one line of the ground at its own depth; while the camera moves sideways the row only shifts, by
    focal length over depth. Row r of the band stands ``horizon + r`` on the screen and extends ``reach`` metres more
    than the screen shows.
    """
    rows = HEIGHT - horizon
    depth = (_FOCAL * _EYE / (np.arange(rows, dtype=np.float32) + 0.7)).astype(np.float32)
    band = np.zeros((rows, WIDTH + int(reach * _FOCAL / depth[-1]) + 2, 3), np.float32)
    meadow, patches = noise(rng, 2048, 2048, 24, 5), noise(rng, 1024, 1024, 160, 3)
    gravel = noise(rng, 2048, 2048, 3, 2)
    for row, z in enumerate(depth):
        x = (np.arange(band.shape[1], dtype=np.float32) - WIDTH / 2) * z / _FOCAL
        band[row] = _ground_line(x, float(z), (meadow, patches, gravel))
    return band, depth


def _ground_line(x: Image, z: float, textures: tuple[Image, Image, Image]) -> Image:
    """Return the colours of the ground at depth ``z`` along ``x``, both in metres."""

    def sample(texture: Image, per_metre: float) -> Image:
        side = texture.shape[0]
        # Far lines step over many texels: let them fade to the mean instead of flickering.
        fade = min(1.0, 220.0 / (z * per_metre))
        line = texture[int(z * per_metre * 3) % side, (x * per_metre).astype(np.int64) % side]
        return np.asarray(line * fade, np.float32)

    meadow, patches, gravel = textures
    grass, tuft = sample(patches, 14)[:, None], sample(meadow, 90)[:, None]
    color = np.array((0.36, 0.47, 0.17), np.float32) + grass * np.array((0.05, 0.03, 0.01), np.float32)
    color = color * (1 + 0.17 * tuft)
    if 9.6 < z < 15.4:
        asphalt = np.array((0.37, 0.37, 0.39), np.float32) * (1 + 0.06 * sample(gravel, 60)[:, None])
        verge = np.array((0.55, 0.50, 0.40), np.float32) * (1 + 0.10 * sample(gravel, 60)[:, None])
        color = asphalt if 10.0 < z < 14.9 else verge
        if 12.1 < z < 12.35:
            dashed = ((x % 3.0) < 1.7)[:, None]
            color = np.where(dashed, np.float32(0.86), color)
        if 10.15 < z < 10.3 or 14.6 < z < 14.8:
            color = np.full_like(color, 0.82)
    haze = np.float32(1 - np.exp(-z / 260))
    hazy = color * (1 - haze) + np.array((0.72, 0.80, 0.84)) * haze
    return np.asarray(np.clip(hazy, 0, 1), np.float32)


class Village:
    """A car on a village road: the camera travels to the right past houses, trees and a fence."""

    _HORIZON = 228

    def __init__(self) -> None:
        rng = np.random.default_rng(20)
        sky = [(0.0, (0.22, 0.46, 0.78)), (0.6, (0.56, 0.75, 0.92)), (1.0, (0.86, 0.90, 0.90))]
        self._sky = gradient(HEIGHT, WIDTH, [(p * self._HORIZON / HEIGHT, c) for p, c in sky])
        self._clouds = _clouds(rng, (WIDTH + 200, 200), (1.0, 0.99, 0.97), (0.66, 0.72, 0.80), 1.05)
        self._mountains = _ridge(rng, (WIDTH + 40, 150), 240, (0.62, 0.70, 0.76), (0.46, 0.55, 0.66))
        self._hills = _ridge(rng, (WIDTH + 60, 80), 330, (0.52, 0.62, 0.40), (0.36, 0.50, 0.30))
        self._ground, self._depth = _ground(rng, self._HORIZON, 8.0)
        self._things = self._scatter(rng)
        self._car, self._wheel = car(270, (0.74, 0.10, 0.09)), wheel(23)
        self._shadow = _soft_shadow(300, 40)
        rows = np.arange(HEIGHT - self._HORIZON, dtype=np.float32)
        self._columns, self._rows = np.meshgrid(np.arange(WIDTH, dtype=np.float32), rows)

    def _scatter(self, rng: np.random.Generator) -> list[tuple[float, float, float, Image]]:
        """Return (depth, x, height, sprite) in metres of all that stands, the farthest first."""
        haze = (0.72, 0.80, 0.84)
        things: list[tuple[float, float, float, Image]] = []
        leaves = [(0.36, 0.56, 0.20), (0.42, 0.55, 0.16), (0.30, 0.50, 0.22), (0.62, 0.52, 0.16)]
        trees = [tree(rng, 230, leaf) for leaf in leaves]
        for _ in range(34):
            z = rng.uniform(38, 85)
            things.append(
                (z, rng.uniform(-0.75, 0.85) * z, rng.uniform(6, 10), _mix(trees[rng.integers(4)], haze, z / 190))
            )
        walls = [((0.93, 0.89, 0.80), (0.66, 0.27, 0.18)), ((0.82, 0.73, 0.58), (0.42, 0.30, 0.27))]
        walls += [((0.75, 0.81, 0.84), (0.32, 0.34, 0.40)), ((0.90, 0.80, 0.66), (0.58, 0.24, 0.16))]
        for index, (wall, roof) in enumerate(walls):
            z = 27.0 + 2.5 * (index % 2)
            things.append((z, -17.5 + 10.5 * index, 6.4, house(rng, 240, wall, roof)))
        for x in (-19.5, -8.0, 2.4, 13.0, 22.5):
            things.append((23.5 + rng.uniform(-1, 1), x, rng.uniform(5.5, 7.5), trees[rng.integers(4)]))
        things += [(17.0, -14 + 1.6 * index, 1.1, _fence_post()) for index in range(22)]
        big = tree(rng, 760, (0.38, 0.55, 0.18))
        things.append((8.6, 6.9, 9.0, big))
        return sorted(things, key=lambda thing: -thing[0])

    def __call__(self, t: float) -> Image:
        """Return the picture at ``t`` seconds."""
        camera = _TRAVEL * t
        picture = self._sky.copy()
        put_band(picture, self._clouds, 20 + 9 * t, 0)
        put_band(picture, self._mountains, 4 + camera * 0.8, self._HORIZON - 128)
        put_band(picture, self._hills, 4 + camera * 4, self._HORIZON - 62)
        shift = self._columns + (camera * _FOCAL / self._depth)[:, None]
        picture[self._HORIZON :] = cv2.remap(self._ground, shift, self._rows, cv2.INTER_LINEAR)
        drawn = False
        for z, x, height, sprite in self._things:
            if z < 11.3 and not drawn:
                self._drive(picture, t, camera)
                drawn = True
            self._stand(picture, z, x - camera, height, sprite)
        self._birds(picture, t)
        return picture

    def _stand(self, picture: Image, z: float, x: float, height: float, sprite: Image) -> None:
        """Put a thing on the ground, with its shadow."""
        scale = height * _FOCAL / z / sprite.shape[0]
        foot = self._HORIZON + _FOCAL * _EYE / z
        left = WIDTH / 2 + x * _FOCAL / z - sprite.shape[1] * scale / 2
        wide = sprite.shape[1] * scale / self._shadow.shape[1]
        put(picture, self._shadow, left + 0.25 * sprite.shape[1] * scale, foot - 20 * wide, wide, opacity=0.8)
        put(picture, sprite, left, foot - sprite.shape[0] * scale, scale)

    def _drive(self, picture: Image, t: float, camera: float) -> None:
        """Put the car where it is: it comes in from the left and overtakes the camera."""
        z, x = 11.3, -10.2 + 5.0 * t - camera
        scale = 4.3 * _FOCAL / z / self._car.shape[1]
        left = WIDTH / 2 + x * _FOCAL / z
        foot = self._HORIZON + _FOCAL * _EYE / z
        length = self._car.shape[1] * scale
        bounce = 0.8 * np.sin(t * 11)
        top = foot - 0.365 * length
        put(picture, self._shadow, left + 0.02 * length, foot - 19, length / self._shadow.shape[1] * 1.04)
        put(picture, self._car, left, top + bounce, scale)
        radius = 0.072 * length
        rim = turned(self._wheel, np.degrees(5.0 * t * _FOCAL / z / radius))
        for at in (0.20, 0.79):
            put(picture, rim, left + at * length - radius, foot - 2 * radius, 2 * radius / rim.shape[0])

    def _birds(self, picture: Image, t: float) -> None:
        """Draw five birds that flap across the sky."""
        layer = np.full((HEIGHT, WIDTH), 0, np.uint8)
        for index, (x, y, size) in enumerate([(0, 0, 15), (-44, 18, 13), (-30, -22, 12), (-84, 32, 12), (-96, -6, 11)]):
            at = np.array((560 + x - 52 * t + 30 * np.sin(t + index), 92 + y + 6 * np.sin(1.7 * t + index)))
            lift = np.sin(9 * t + index * 1.3)
            bend, tip = np.array((0.5 * size, -0.35 * size * lift)), np.array((size, 0.25 * size - 0.7 * size * lift))
            wing = [at + tip * (-1, 1), at + bend * (-1, 1), at, at + bend, at + tip]
            points = np.rint(np.array(wing) * 16).astype(np.int32)
            cv2.polylines(layer, [points], False, 255, 2, cv2.LINE_AA, 4)
        picture *= 1 - 0.85 * (layer.astype(np.float32) / 255)[..., None]


def _fence_post() -> Image:
    """Return one post with its two rails, which meet those of the next post."""
    post = np.zeros((55, 82, 4), np.float32)
    for rows, columns, color in (
        (slice(12, 17), slice(0, 82), (0.72, 0.66, 0.54)),
        (slice(30, 35), slice(0, 82), (0.66, 0.60, 0.48)),
        (slice(3, 55), slice(36, 44), (0.62, 0.55, 0.44)),
    ):
        post[rows, columns, :3], post[rows, columns, 3] = color, 1
    return post


def _soft_shadow(width: int, height: int) -> Image:
    """Return an ellipse of shadow with a soft edge."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    shadow = np.zeros((height, width, 4), np.float32)
    shadow[..., 3] = np.clip(1.4 * (1 - np.hypot(x, y)), 0, 0.55)
    return shadow


class Lake:
    """A balloon rises over a lake at sunset; a boat crosses its reflection; the camera moves in slowly."""

    _SHORE = 290

    def __init__(self) -> None:
        rng = np.random.default_rng(4)
        sky = [(0.0, (0.20, 0.22, 0.45)), (0.45, (0.66, 0.42, 0.52)), (0.8, (0.98, 0.64, 0.38)), (1, (1.0, 0.82, 0.52))]
        self._sky = gradient(HEIGHT, WIDTH, [(p * self._SHORE / HEIGHT, c) for p, c in sky])
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
        away = np.hypot(x - 250, y - 166)
        self._sky += (np.exp(-away / 110)[..., None] * np.array((0.45, 0.32, 0.12))).astype(np.float32)
        disc = np.clip(31 - away, 0, 1)[..., None]
        self._sky = np.clip(self._sky * (1 - disc) + np.array((1.0, 0.96, 0.80), np.float32) * disc, 0, 1).astype(
            np.float32
        )
        self._clouds = _clouds(rng, (WIDTH + 120, 190), (1.0, 0.72, 0.52), (0.48, 0.32, 0.46), 0.75)
        self._ridges = [
            _ridge(rng, (WIDTH + 40, 130), 300, (0.80, 0.55, 0.50), (0.52, 0.38, 0.50)),
            _ridge(rng, (WIDTH + 40, 90), 220, (0.50, 0.34, 0.40), (0.30, 0.23, 0.36)),
        ]
        self._pines = _pine_row(rng)
        self._balloon, self._small, self._boat = balloon(170), balloon(70), boat(96)
        self._ripples = noise(rng, 1024, 512, 40, 5)
        self._columns, self._rows = x, y

    def __call__(self, t: float) -> Image:
        """Return the picture at ``t`` seconds."""
        picture = self._sky.copy()
        put_band(picture, self._clouds, 10 + 6 * t, 0)
        put_band(picture, self._ridges[0], 4 + 1.2 * t, self._SHORE - 110)
        put_band(picture, self._ridges[1], 4 + 2.5 * t, self._SHORE - 60)
        put(picture, self._small, 690 - 9 * t, 96 - 6 * t + 2 * np.sin(1.3 * t), opacity=0.94)
        put_band(picture, self._pines, 6 + 5 * t, self._SHORE - self._pines.shape[0] + 4)
        put(picture, self._balloon, 452 + 15 * t, 44 - 13 * t + 3 * np.sin(1.1 * t))
        put(picture, self._boat, 90 + 40 * t, self._SHORE - 84 + 1.2 * np.sin(2.2 * t))
        self._reflect(picture, t)
        zoom = 1.0 + 0.016 * t
        move = np.array([[zoom, 0, (1 - zoom) * 440], [0, zoom, (1 - zoom) * 260]], np.float32)
        return np.asarray(cv2.warpAffine(picture, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.float32)

    def _reflect(self, picture: Image, t: float) -> None:
        """Fill the part below the shore with the part above it, upside down and rippled."""
        shore = self._SHORE
        rows = self._rows[shore:] - shore  # 0 at the shore
        near = (rows + 4) / (HEIGHT - shore)
        u = ((self._columns[shore:] - WIDTH / 2) / (near + 0.12) * 0.35 + 18 * t).astype(np.float32)
        v = (70 / (near + 0.08) + 34 * t).astype(np.float32)
        wave = cv2.remap(self._ripples, np.mod(u, 1023), np.mod(v, 511), cv2.INTER_LINEAR)
        source_x = self._columns[shore:] + wave * 5 * near
        source_y = np.clip(shore - 2 - rows * 1.15 - wave * 15 * near, 0, shore - 2)
        mirrored = cv2.remap(picture, source_x, source_y.astype(np.float32), cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT)
        tint = 0.88 - 0.30 * near[..., None]
        glint = np.clip(wave - 1.1, 0, 1)[..., None] * np.array((0.55, 0.42, 0.30), np.float32)
        water = mirrored * tint + np.array((0.02, 0.03, 0.07), np.float32) + glint * (1 - near[..., None] * 0.5)
        picture[shore:] = np.clip(water, 0, 1)


def _pine_row(rng: np.random.Generator) -> Image:
    """Return a shore with pines as a dark band."""
    band = np.zeros((62, WIDTH + 60, 4), np.float32)
    mask = np.zeros(band.shape[:2], np.uint8)
    cv2.rectangle(mask, (0, 54), (band.shape[1], 62), 255, -1)
    for x in rng.uniform(0, band.shape[1], 190):
        height, wide = rng.uniform(14, 50) * (0.5 + 0.5 * np.sin(x / 90) ** 2), rng.uniform(5, 9)
        for step in range(4):
            top = 58 - height * (1 - step * 0.2)
            half = wide * (0.4 + 0.2 * step)
            corners = np.array([(x, top), (x - half, top + height * 0.34), (x + half, top + height * 0.34)])
            cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    band[..., 3] = mask.astype(np.float32) / 255
    shade = 0.8 + 0.25 * noise(rng, band.shape[1], band.shape[0], 12, 3)[..., None]
    band[..., :3] = np.array((0.15, 0.13, 0.20), np.float32) * shade * band[..., 3:]
    return np.clip(band, 0, 1)
