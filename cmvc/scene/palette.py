"""Colour names: some four hundred, each with one fixed RGB value, spread over CIELAB.

A name is ``[lightness] [chroma] hue`` ("dark teal", "pale dull blue") or a neutral ("light grey"). Colours are
BT.709, 8-bit, as ``Picture`` holds them in limited range.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LIGHTNESS = {  # CIE L*
    "blackish": 10.0, "dark": 22.0, "deep": 34.0, "": 46.0, "soft": 57.0, "light": 68.0, "pale": 79.0, "whitish": 90.0,
}  # fmt: skip
CHROMA = {"dull": 9.0, "": 20.0, "rich": 33.0, "vivid": 50.0, "intense": 74.0}  # CIE C*ab
HUES = {  # CIE hab in degrees
    "pink": 0, "red": 30, "orange": 57, "gold": 80, "yellow": 100, "lime": 122, "green": 145,
    "teal": 180, "cyan": 212, "azure": 245, "blue": 275, "violet": 302, "purple": 325, "magenta": 345,
}  # fmt: skip
NEUTRALS = {
    "black": 4.0, "blackish grey": 12.0, "charcoal": 20.0, "dark grey": 29.0, "deep grey": 38.0, "grey": 47.0,
    "soft grey": 57.0, "light grey": 67.0, "silver": 76.0, "pale grey": 84.0, "whitish grey": 91.0, "white": 98.0,
}  # fmt: skip
_BROWN_BELOW = 60.0  # an orange that is darker than this is called brown
_OLIVE_BELOW = 45.0  # and such a yellow, olive
_GAMUT_TOLERANCE = 9.0  # CIELAB distance that clipping to 8 bits may cost a name
_WHITE = np.array([0.95047, 1.0, 1.08883], np.float32)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)


def rgb_to_lab(rgb: Floats) -> Floats:
    """Return CIELAB of sRGB colours: (..., 3) in 0..1 to (..., 3) L*, a*, b*."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = (linear @ _TO_XYZ.T) / _WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)


def lab_to_rgb(lab: Floats) -> Floats:
    """Return sRGB in 0..1 of CIELAB colours, clipped to the gamut."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 0.2068966, f**3, (f - 16 / 116) / 7.787) * _WHITE
    linear = np.clip(xyz @ np.linalg.inv(_TO_XYZ).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def yuv_to_rgb(yuv: Floats) -> Floats:
    """Return sRGB in 0..1 of limited-range BT.709 Y'CbCr (..., 3) in 0..255."""
    y = (yuv[..., 0] - 16) / 219
    u, v = (yuv[..., 1] - 128) / 224, (yuv[..., 2] - 128) / 224
    rgb = np.stack([y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u], -1)
    return np.clip(rgb, 0, 1).astype(np.float32)


def rgb_to_yuv(rgb: Floats) -> Floats:
    """Return limited-range BT.709 Y'CbCr (..., 3) in 0..255 of sRGB in 0..1."""
    y = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    u, v = (rgb[..., 2] - y) / 1.8556, (rgb[..., 0] - y) / 1.5748
    return np.stack([16 + 219 * y, 128 + 224 * u, 128 + 224 * v], -1).astype(np.float32)


def _hue_name(hue: str, lightness: float) -> str:
    if hue == "orange" and lightness < _BROWN_BELOW:
        return "brown"
    return "olive" if hue == "yellow" and lightness < _OLIVE_BELOW else hue


@cache
def palette() -> dict[str, Floats]:
    """Return the RGB value (3,) in 0..1 of every name that the grammar writes, in a fixed order."""
    names = {name: np.array([lightness, 0, 0], np.float32) for name, lightness in NEUTRALS.items()}
    for hue, degrees in HUES.items():
        angle = np.deg2rad(degrees)
        for chroma_word, chroma in CHROMA.items():
            for light_word, lightness in LIGHTNESS.items():
                words = (light_word, chroma_word, _hue_name(hue, lightness))
                lab = np.array([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], np.float32)
                if np.linalg.norm(rgb_to_lab(lab_to_rgb(lab)) - lab) < _GAMUT_TOLERANCE:
                    names[" ".join(filter(None, words))] = lab
    return {name: lab_to_rgb(lab) for name, lab in names.items()}


@cache
def names_and_labs() -> tuple[tuple[str, ...], Floats]:
    """Return the names and their CIELAB values (n, 3)."""
    return tuple(palette()), rgb_to_lab(np.stack(list(palette().values())))


def nearest_name(lab: Floats) -> str:
    """Return the name nearest to a CIELAB colour (3,)."""
    names, labs = names_and_labs()
    return names[int(np.argmin(((labs - lab) ** 2).sum(1)))]


# Colour words of ordinary English that the grammar itself never writes, as names that it does.
ALIASES = {
    "gray": "grey", "beige": "pale dull gold", "tan": "light gold", "cream": "pale gold", "ivory": "pale dull yellow",
    "navy": "dark blue", "maroon": "dark red", "crimson": "vivid red", "scarlet": "vivid red",
    "turquoise": "light teal", "aqua": "light cyan", "mint": "pale green", "emerald": "vivid green",
    "khaki": "light dull yellow", "slate": "dull azure", "lavender": "light violet", "lilac": "light purple",
    "indigo": "deep vivid violet", "rose": "light pink", "salmon": "light red", "peach": "light orange",
    "coral": "light vivid red", "rust": "deep vivid orange", "bronze": "deep gold", "chocolate": "dark brown",
    "blonde": "light gold", "golden": "gold", "silvery": "silver", "snowy": "white", "amber": "vivid gold",
}  # fmt: skip


def find_colour(words: list[str]) -> str | None:
    """Return the grammar's colour name that fits ``words`` best; None where no colour is named.

    The first hue counts, with the modifiers before it; a combination that has no name of its own gives the
    name with the same hue and the nearest modifiers.
    """
    hues = {name.split()[-1] for name in palette()}
    at = next((i for i, word in enumerate(words) if word in hues or word in ALIASES), None)
    if at is None:
        return None
    word = words[at]
    modifiers = [w for w in words[:at] if w in LIGHTNESS or w in CHROMA or w == "bright"]
    full = [*modifiers, *ALIASES.get(word, word).split()]
    exact = " ".join(full)
    if exact in palette():
        return exact
    same_hue = [name for name in palette() if name.split()[-1] == full[-1]]
    return min(same_hue, key=lambda name: _mismatch(name.split()[:-1], full[:-1]))


def _mismatch(have: list[str], wanted: list[str]) -> float:
    lights, chromas = list(LIGHTNESS), list(CHROMA)

    def rank(words: list[str], scale: list[str]) -> int:
        if "bright" in words:  # what people say for both light and vivid
            return scale.index("light") if "light" in scale else scale.index("vivid")
        return next((scale.index(w) for w in words if w in scale), scale.index(""))

    return abs(rank(have, lights) - rank(wanted, lights)) + 1.1 * abs(rank(have, chromas) - rank(wanted, chromas))
