"""Procedural textures: zero-mean fields that modulate an element's lightness."""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def _noise(rng: np.random.Generator, size: tuple[int, int], sigma_x: float, sigma_y: float) -> Floats:
    """Return smoothed noise (height, width) of unit deviation."""
    white = rng.standard_normal(size, dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=max(sigma_x, 0.3), sigmaY=max(sigma_y, 0.3))
    return np.asarray((smooth - smooth.mean()) / (smooth.std() + 1e-6), np.float32)


def make_texture(name: str, width: int, height: int, seed: int) -> Floats:  # noqa: PLR0911 - one return per name
    """Return the texture ``name`` (height, width), about -3..3, in lightness units of one (a few 8-bit steps).

    The scale follows the picture's height, so that a scene looks alike at every size.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    unit, size = max(height, 32) / 240, (height, width)
    if name == "leaves":
        fine, coarse = _noise(rng, size, 1.6 * unit, 1.4 * unit), _noise(rng, size, 5 * unit, 4 * unit)
        return np.tanh(1.4 * (fine + 0.8 * coarse)) * 9
    if name == "blades":
        return (_noise(rng, size, 0.8 * unit, 3.5 * unit) + 0.6 * _noise(rng, size, 8 * unit, 4 * unit)) * 4
    if name == "ripples":
        return (_noise(rng, size, 9 * unit, 1.2 * unit) + 0.8 * _noise(rng, size, 22 * unit, 2.6 * unit)) * 5
    if name == "grains":
        return (_noise(rng, size, 0.9 * unit, 0.7 * unit) + _noise(rng, size, 9 * unit, 3 * unit)) * 2.5
    if name == "clouds":
        return _noise(rng, size, 26 * unit, 10 * unit) * 3
    if name == "plaster":
        return (_noise(rng, size, unit, unit) + _noise(rng, size, 20 * unit, 20 * unit)) * 1.3
    if name == "lines":
        return _lines(rng, width, height)
    if name == "cells":
        return _cells(rng, width, height)
    return _strokes(rng, size, unit)


def _strokes(rng: np.random.Generator, size: tuple[int, int], unit: float) -> Floats:
    """Faint slanting brush strokes: what a smooth region is painted with."""
    height, width = size
    long = _noise(rng, (height, width + height), 9 * unit, 0.9 * unit)
    slant = np.array([[1, -0.5, 0], [0.15, 1, 0]], np.float32)
    strokes = cv2.warpAffine(long, slant, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.asarray(strokes, np.float32) * 1.3


def _lines(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Rows of dark words of uneven length."""
    pitch = max(height // 34, 4)
    field = np.zeros((height, width), np.float32)
    for top in range(pitch // 2, height, pitch):
        x = int(rng.integers(0, pitch * 2))
        end = int(width * rng.uniform(0.7, 1.0))
        while x < end:
            word = int(rng.integers(pitch, pitch * 5))
            field[top : top + max(pitch // 2, 1), x : min(x + word, end)] = -38
            x += word + max(pitch // 2, 2)
    field *= 0.7 + 0.3 * rng.random(field.shape, dtype=np.float32)
    return np.asarray(field - field.mean(), np.float32)


def _cells(rng: np.random.Generator, width: int, height: int) -> Floats:
    """Irregular flat cells, some light, some dark."""
    side = max(height // 22, 3)
    coarse = rng.standard_normal((height // side + 2, width // side + 2)).astype(np.float32)
    x = np.arange(width, dtype=np.float32)[None] / side + 0.35 * _noise(rng, (height, width), side / 2, side / 2)
    y = np.arange(height, dtype=np.float32)[:, None] / side + 0.35 * _noise(rng, (height, width), side / 2, side / 2)
    cells = cv2.remap(coarse, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.GaussianBlur(cells, (0, 0), 0.8), np.float32) * 9
