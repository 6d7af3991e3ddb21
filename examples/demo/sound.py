"""The sound of the demo clip: wind, a passing car, birds, a chime at the cut, water."""

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
"""Samples per second."""

Sound = NDArray[np.float32]


def _filtered_noise(rng: np.random.Generator, seconds: float, low: float, high: float) -> NDArray[np.float64]:
    """Return noise between two frequencies in Hz, peak 1."""
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(rng.normal(0, 1, count))
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    spectrum *= 1 / (1 + (low / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high) ** 4)
    noise = np.fft.irfft(spectrum, count)
    return np.asarray(noise / np.abs(noise).max())


def _panned(mono: NDArray[np.float64], side: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Place a sound between left (-1) and right (+1) at constant power; (2, samples)."""
    angle = (np.asarray(side) + 1) * np.pi / 4
    return np.stack([mono * np.cos(angle), mono * np.sin(angle)])


def _car(rng: np.random.Generator, seconds: float, passing_at: float) -> NDArray[np.float64]:
    """Return a car that passes from left to right, its pitch falling as it does."""
    t = np.arange(round(seconds * RATE)) / RATE
    along = (t - passing_at) * 5.0 / 11.3  # in units of the distance at which it passes
    pitch = 46 * (1 - 0.05 * along / np.sqrt(1 + along**2))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    engine = sum(np.sin(n * phase + n) / n**0.8 for n in (1, 2, 3, 4, 6, 8))
    tyres = _filtered_noise(rng, seconds, 300, 1800) * 2.2
    return _panned((engine + tyres) * 0.10 / (1 + along**2), np.clip(along / 1.5, -1, 1))


def _chirps(rng: np.random.Generator, seconds: float) -> NDArray[np.float64]:
    """Return birds calling now and then, from changing directions."""
    sound = np.zeros((2, round(seconds * RATE)))
    for start in np.sort(rng.uniform(0.2, seconds - 0.4, 7)):
        t = np.arange(round(0.16 * RATE)) / RATE
        pitch = rng.uniform(2600, 3800) + 700 * np.sin(2 * np.pi * 14 * t)
        call = np.sin(2 * np.pi * np.cumsum(pitch) / RATE) * np.sin(np.pi * t / t[-1]) ** 2 * 0.06
        first = round(start * RATE)
        sound[:, first : first + len(t)] += _panned(call, rng.uniform(-0.8, 0.8))
    return sound


def _chime(seconds: float) -> NDArray[np.float64]:
    """Return a struck bell: inharmonic partials, the higher the faster gone."""
    t = np.arange(round(seconds * RATE)) / RATE
    partials = [(1.0, 1.0, 1.4), (2.0, 0.6, 1.0), (2.76, 0.5, 0.7), (5.4, 0.25, 0.35), (8.9, 0.12, 0.2)]
    tone = sum(level * np.sin(2 * np.pi * 523.25 * ratio * t) * np.exp(-t / decay) for ratio, level, decay in partials)
    return _panned(tone * np.minimum(t / 0.003, 1) * 0.14, 0.1)


def soundtrack(first: float, second: float) -> Sound:
    """Return (2, samples) at ``RATE``, -1..1, for a shot of ``first`` seconds and one of ``second``."""
    rng = np.random.default_rng(11)
    total = np.zeros((2, round((first + second) * RATE)), np.float64)
    cut = round(first * RATE)
    gusts = 0.6 + 0.4 * np.sin(np.linspace(0, 2 * np.pi * (first + second) / 4, total.shape[1]))
    for channel in range(2):
        total[channel] += _filtered_noise(rng, first + second, 90, 500) * gusts * 0.10
    total[:, :cut] += _car(rng, first, 2.0)[:, :cut] + _chirps(rng, first)[:, :cut]
    rest = total.shape[1] - cut
    laps = 0.5 + 0.5 * np.sin(np.linspace(0, 2 * np.pi * second / 1.6, rest)) ** 3
    total[:, cut:] += _filtered_noise(rng, second + 0.1, 500, 2500)[:rest] * laps * 0.05
    total[:, cut:] += _chime(second + 0.1)[:, :rest]
    fade = np.minimum(1, np.minimum(np.arange(total.shape[1]), np.arange(total.shape[1])[::-1]) / (0.05 * RATE))
    return np.clip(total * fade, -1, 1).astype(np.float32)
