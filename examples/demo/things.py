"""What stands, drives and floats in the demo clip, as sprites. Light comes from the upper left."""

import cv2
import numpy as np

from examples.demo.paint import Color, Image, Sprite, noise


def tree(rng: np.random.Generator, height_px: int, leaf: Color) -> Image:
    """Return a leafy tree, 0.8 as wide as high."""
    sprite = Sprite(0.8, 1.0, height_px)
    bark = (0.30, 0.22, 0.15)
    sprite.polygon([(0.37, 0.55), (0.43, 0.55), (0.45, 1.0), (0.35, 1.0)], bark)
    sprite.line([(0.40, 0.68), (0.26, 0.50)], 0.018, bark)
    sprite.line([(0.40, 0.66), (0.54, 0.46)], 0.018, bark)
    lumps = [(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(160)]
    inside = sorted((p for p in lumps if p[0] ** 2 + p[1] ** 2 < 1), key=lambda p: -p[0] * 0.3 + -p[1])
    for x, y in inside:
        light = 0.72 - 0.30 * y - 0.16 * x + rng.normal(0, 0.07)
        color = (leaf[0] * light, leaf[1] * light, leaf[2] * light)
        sprite.ellipse(0.40 + 0.28 * x, 0.36 + 0.26 * y, rng.uniform(0.04, 0.09), rng.uniform(0.035, 0.07), color)
    rows, columns = sprite.image.shape[:2]
    sprite.shade(1 + 0.13 * noise(rng, columns, rows, 6, 3))
    return sprite.image


def house(rng: np.random.Generator, width_px: int, wall: Color, roof: Color) -> Image:
    """Return a house with a gable roof, seen a little from the left, 0.8 as high as wide."""
    sprite = Sprite(1.0, 0.8, width_px)
    rows, columns = sprite.image.shape[:2]
    plaster = (np.asarray(wall, np.float32) * (1 + 0.05 * noise(rng, columns, rows, 20)[..., None])).astype(np.float32)
    sprite.polygon([(0.05, 0.38), (0.17, 0.16), (0.29, 0.38), (0.29, 0.8), (0.05, 0.8)], plaster)
    sprite.polygon([(0.29, 0.38), (0.95, 0.38), (0.95, 0.8), (0.29, 0.8)], (plaster * 0.78).astype(np.float32))
    tiles = np.asarray(roof, np.float32) * np.ones((rows, columns, 1), np.float32)
    tiles *= (0.86 + 0.14 * np.sign(np.sin(np.arange(rows) / width_px * 220)))[:, None, None].astype(np.float32)
    tiles *= 1 + 0.08 * noise(rng, columns, rows, 5, 2)[..., None]
    sprite.polygon([(0.16, 0.13), (0.83, 0.13), (0.99, 0.41), (0.31, 0.41)], tiles)
    sprite.line([(0.02, 0.41), (0.165, 0.14), (0.31, 0.41)], 0.022, (0.85, 0.82, 0.76))
    sprite.polygon([(0.66, 0.02), (0.73, 0.02), (0.73, 0.22), (0.66, 0.22)], (0.50, 0.30, 0.25))
    sprite.polygon([(0.65, 0.015), (0.74, 0.015), (0.74, 0.04), (0.65, 0.04)], (0.35, 0.25, 0.22))
    for left, top in ((0.37, 0.48), (0.56, 0.48), (0.78, 0.48), (0.10, 0.44)):
        _window(sprite, left, top, 0.11 if left > 0.2 else 0.10)
    sprite.polygon([(0.68, 0.54), (0.75, 0.54), (0.75, 0.8), (0.68, 0.8)], (0.32, 0.18, 0.12))
    sprite.ellipse(0.738, 0.68, 0.006, 0.006, (0.9, 0.8, 0.4))
    return sprite.image


def _window(sprite: Sprite, left: float, top: float, width: float) -> None:
    """Draw a window with a frame, a cross bar and a reflection of the sky."""
    height = width * 1.25
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    sprite.polygon(corners, (0.93, 0.92, 0.88))
    edge = 0.012
    glass = [(left + edge, top + edge), (left + width - edge, top + edge)]
    glass += [(left + width - edge, top + height - edge), (left + edge, top + height - edge)]
    sprite.polygon(glass, (0.20, 0.28, 0.36))
    sprite.polygon([glass[0], glass[1], glass[3]], (0.42, 0.55, 0.66))
    middle = left + width / 2
    sprite.line([(middle, top), (middle, top + height)], 0.008, (0.93, 0.92, 0.88))
    sprite.line([(left, top + height * 0.4), (left + width, top + height * 0.4)], 0.008, (0.93, 0.92, 0.88))


def car(length_px: int, paint: Color) -> Image:
    """Return a car without wheels, facing right, 0.34 as high as long."""
    sprite = Sprite(1.0, 0.34, length_px)
    rows, columns = sprite.image.shape[:2]
    down = np.linspace(1.25, 0.55, rows, dtype=np.float32)[:, None, None]
    body = np.asarray(paint, np.float32) * down * np.ones((1, columns, 1), np.float32)
    roof = [(0.20, 0.15), (0.29, 0.035), (0.36, 0.012), (0.58, 0.012), (0.66, 0.04), (0.76, 0.14)]
    hull = [(0.02, 0.17), (0.04, 0.145), (0.20, 0.13), (0.76, 0.13), (0.93, 0.165), (0.985, 0.20), (0.99, 0.27)]
    sprite.polygon([*roof, (0.76, 0.16), (0.20, 0.16)], body)
    sprite.polygon([*hull, (0.97, 0.295), (0.03, 0.295), (0.01, 0.26)], body)
    glass = (0.14, 0.19, 0.24)
    sprite.polygon([(0.235, 0.14), (0.30, 0.055), (0.36, 0.035), (0.445, 0.035), (0.445, 0.14)], glass)
    sprite.polygon([(0.465, 0.14), (0.465, 0.035), (0.57, 0.035), (0.64, 0.06), (0.72, 0.14)], glass)
    sprite.polygon([(0.25, 0.12), (0.31, 0.055), (0.36, 0.04), (0.30, 0.12)], (0.45, 0.56, 0.64))
    sprite.polygon([(0.49, 0.12), (0.53, 0.04), (0.56, 0.04), (0.52, 0.12)], (0.45, 0.56, 0.64))
    highlight = tuple(min(channel * 1.6 + 0.15, 1.0) for channel in paint)
    sprite.line([(0.04, 0.165), (0.76, 0.15), (0.94, 0.185)], 0.008, (highlight[0], highlight[1], highlight[2]))
    sprite.line([(0.455, 0.15), (0.455, 0.285)], 0.004, (0.1, 0.05, 0.05))
    sprite.line([(0.40, 0.185), (0.435, 0.185)], 0.008, (0.85, 0.85, 0.85))
    sprite.ellipse(0.955, 0.205, 0.025, 0.017, (1.0, 0.96, 0.78))
    sprite.ellipse(0.022, 0.195, 0.014, 0.02, (0.75, 0.08, 0.06))
    for wheel in (0.20, 0.79):
        sprite.ellipse(wheel, 0.285, 0.085, 0.085, (0.05, 0.05, 0.05))
    return sprite.image


def wheel(radius_px: int) -> Image:
    """Return a wheel with five spokes; turn it with ``turned``."""
    sprite = Sprite(2.0, 2.0, radius_px)
    sprite.ellipse(1, 1, 0.98, 0.98, (0.07, 0.07, 0.08))
    sprite.ellipse(1, 1, 0.62, 0.62, (0.20, 0.20, 0.22))
    for spoke in range(5):
        angle = 2 * np.pi * spoke / 5
        sprite.line([(1, 1), (1 + 0.58 * np.cos(angle), 1 + 0.58 * np.sin(angle))], 0.16, (0.78, 0.79, 0.80))
    sprite.ellipse(1, 1, 0.16, 0.16, (0.55, 0.56, 0.58))
    return sprite.image


def turned(sprite: Image, degrees: float) -> Image:
    """Return a square sprite turned about its centre, clockwise."""
    size = sprite.shape[0]
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), -degrees, 1.0)
    return np.asarray(cv2.warpAffine(sprite, turn, (size, size)), np.float32)


def balloon(width_px: int) -> Image:
    """Return a hot-air balloon with striped gores, 1.35 as high as wide."""
    sprite = Sprite(1.0, 1.35, width_px)
    rows, columns = sprite.image.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) / width_px
    # Half width of the envelope at each height: a sphere that runs out into a cone.
    upper = np.sqrt(np.clip(0.25 - (y - 0.5) ** 2, 0, None))
    lower = 0.5 - np.clip(y - 0.5, 0, None) ** 1.5 * 1.05
    half = np.where(y < 0.5, upper, np.where(y < 1.02, lower, 0)) * 0.98
    across = np.clip((x - 0.5) / np.maximum(half, 1e-3), -1, 1)
    longitude = np.arcsin(across)
    stripes = np.floor((longitude / np.pi + 0.5) * 12) % 3
    palette = np.array([(0.86, 0.20, 0.16), (0.97, 0.80, 0.25), (0.15, 0.38, 0.62)], np.float32)
    color = palette[stripes.astype(np.int32)]
    color[np.abs(y - 0.62) < 0.05] = (0.96, 0.94, 0.88)
    light = np.clip(0.55 + 0.55 * np.cos(longitude + 0.6) - 0.25 * (y - 0.35), 0.25, 1.15)
    alpha = np.clip((half - np.abs(x - 0.5)) * width_px + 0.5, 0, 1)[..., None]
    sprite.image[..., :3] = np.clip(color * light[..., None], 0, 1) * alpha
    sprite.image[..., 3:] = alpha
    rope = (0.25, 0.18, 0.12)
    for top, bottom in ((0.40, 0.445), (0.60, 0.555)):
        sprite.line([(top, 1.0), (bottom, 1.20)], 0.008, rope)
    basket = [(0.44, 1.20), (0.56, 1.20), (0.55, 1.32), (0.45, 1.32)]
    sprite.polygon(basket, (0.45, 0.29, 0.15))
    sprite.line([(0.435, 1.205), (0.565, 1.205)], 0.02, (0.30, 0.18, 0.10))
    return sprite.image


def boat(width_px: int) -> Image:
    """Return a sailing boat, as high as wide."""
    sprite = Sprite(1.0, 1.0, width_px)
    sprite.line([(0.48, 0.05), (0.48, 0.85)], 0.02, (0.30, 0.20, 0.15))
    sprite.polygon([(0.46, 0.08), (0.46, 0.78), (0.10, 0.78)], (0.95, 0.90, 0.82))
    sprite.polygon([(0.51, 0.14), (0.51, 0.78), (0.82, 0.78)], (0.84, 0.74, 0.68))
    sprite.polygon([(0.05, 0.82), (0.95, 0.82), (0.82, 0.97), (0.15, 0.97)], (0.22, 0.12, 0.14))
    sprite.line([(0.05, 0.83), (0.95, 0.83)], 0.02, (0.85, 0.80, 0.75))
    return sprite.image
