"""CMVC over its bit rates, in one mode or in ``auto``, through the command line.

Every byte of the file counts. From the highest rate down by a factor of the square root of 2 until a file comes out
larger than asked, which is the clip's floor, or is nothing but text; then, where those are too few, halfway between.
"""

import hashlib
import itertools
import math
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path

import cmvc
import cmvc_decoder
import cmvc_encoder
from benchmarks.rd.baselines import Coder, NotCachedError
from benchmarks.rd.cache import key_of, quoted
from benchmarks.rd.measure import REFERENCE, measure_command, read_scores
from benchmarks.rd.points import Point
from benchmarks.rd.programs import run, version
from benchmarks.rd.sources import Source
from cmvc.client import Client

NAME = "cmvc"
_STREAM, _VIDEO = "stream.cmvc", "video.y4m"
LEAST_RATE = 500  # bit/s; no mode goes below with pictures
_SLACK = 1.05  # times the rate asked for: a larger file is the floor
TEXT_ONLY = "tt2v"
_LIBRARIES = ("av", "numpy", "opencv-python-headless")


@cache
def _code_version() -> list[str]:
    """Return what the result depends on: a hash of the code, and the libraries that code and scale."""
    digest = hashlib.sha256()
    for package in (cmvc, cmvc_encoder, cmvc_decoder):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{root.name}/{path.relative_to(root)}\0".encode() + path.read_bytes())
    return [digest.hexdigest(), *(f"{name} {metadata.version(name)}" for name in _LIBRARIES)]


def name_of(options: str) -> str:
    """Return how tables call CMVC with these options."""
    return f"{NAME} {options}"


def walk(coder: Coder, source: Source, options: str, limit: float, least: int) -> tuple[list[Point], bool]:
    """Return the points of CMVC on a clip, and whether they are all; see ``baselines.walk``.

    Args:
        coder: with the cache.
        source: the clip.
        options: the mode, then further options of ``cmvc encode``: ``auto --seed 1``.
        limit: highest rate, bit/s.
        least: how many points there shall be at least.

    Raises:
        CmvcError: coding or measuring failed.
        MediaError: frames went missing.
    """
    points: list[Point] = []

    def code(rate: int) -> Point:
        points.append(code_at(coder, source, options, rate))
        return points[-1]

    try:
        if options.split(maxsplit=1)[0] == TEXT_ONLY:
            code(1000)
        else:
            down_to_floor(code, limit, least)
    except NotCachedError:
        return points, False
    return points, True


def down_to_floor(code: Callable[[int], Point], limit: float, least: int) -> None:
    """Call ``code`` with bit rates from ``limit`` down to the floor, then fill the gaps; see the module."""
    rates: list[float] = []
    rate = limit
    while rate >= LEAST_RATE:
        point = code(round(rate))
        if point.modes == (TEXT_ONLY,):
            break
        rates.append(point.bits_per_second)
        if point.bits_per_second > rate * _SLACK:
            break
        rate /= math.sqrt(2)
    while 1 < len(rates) < least:
        high, low = max(itertools.pairwise(rates), key=lambda pair: pair[0] / pair[1])
        rates.insert(rates.index(low), math.sqrt(high * low))
        code(round(math.sqrt(high * low)))


def code_at(coder: Coder, source: Source, options: str, rate: int) -> Point:
    """Return the point of CMVC at one bit rate; see ``walk``.

    Raises:
        NotCachedError: it is not in the cache, and the coder may not run.
        CmvcError: coding or measuring failed.
        MediaError: frames went missing.
    """
    encode = ["cmvc", "encode", REFERENCE, _STREAM, "--mode", *shlex.split(options), "--bitrate", str(rate)]
    decode = ["cmvc", "decode", _STREAM, _VIDEO]
    measure = measure_command(source, _VIDEO)
    key = key_of(source.sha256, encode, decode, measure, version(), _code_version())
    point = coder.cache.get(key)
    if point is None:
        if not coder.may_run:
            raise NotCachedError
        with tempfile.TemporaryDirectory(prefix="cmvc-rd-") as name:
            folder = Path(name)
            (folder / REFERENCE).symlink_to(source.reference.absolute())
            for command in (encode, decode):
                run([sys.executable, "-m", "cmvc.cli", *command[1:]], folder)
            run(measure, folder)
            stream = folder / _STREAM
            with Client() as client:
                modes = tuple(sorted({segment["mode"] for segment in client.inspect(stream)["segments"]}))
            count = stream.stat().st_size
            point = Point(source.name, name_of(options), f"{rate} bit/s", count, count * 8 / source.seconds, modes)
            point = replace(point, scores=read_scores(source, folder), commands=quoted([encode, decode, measure]))
            point = coder.cache.put(key, point, stream)
    coder.done(point)
    return point
