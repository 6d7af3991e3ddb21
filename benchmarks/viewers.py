"""Players of a stored stream, without a screen: when each fragment comes, and whether in time to be shown."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from urllib.request import urlopen

from cmvc_web.fragments import Fragments

_READ_BYTES = 64 << 10


@dataclass(frozen=True)
class Arrival:
    """A fragment that has come.

    Attributes:
        seconds: since it was asked for the stream.
        shown_at: time of its first picture in the video, in seconds.
    """

    seconds: float
    shown_at: float


def watch(url: str) -> list[Arrival]:
    """Return when each fragment of a live stream comes; blocking.

    Raises:
        OSError: it does not.
    """
    found, arrivals, began = Fragments(), list[Arrival](), time.monotonic()
    with urlopen(url) as response:
        while data := response.read1(_READ_BYTES):
            found.feed(data)
            came = time.monotonic() - began
            arrivals += [Arrival(came, each.time) for each in found.found[len(arrivals) :]]
    return arrivals


def watch_all(urls: Sequence[str]) -> list[list[Arrival]]:
    """Return what viewers see who come at the same moment."""
    with ThreadPoolExecutor(len(urls)) as viewers:
        return list(viewers.map(watch, urls))


def stalls(arrivals: Sequence[Arrival], speed: float = 1.0) -> list[float]:
    """Return how long a player stands still, in seconds, each time that a fragment is due before it is there.

    It plays from the first fragment's arrival on, and goes on from where it stood.

    Args:
        arrivals: in order, at least one.
        speed: of the play, 1 for that of the video.
    """
    clock, stood = arrivals[0].seconds, list[float]()
    for before, each in pairwise(arrivals):
        clock += (each.shown_at - before.shown_at) / speed
        if each.seconds > clock:
            stood.append(each.seconds - clock)
            clock = each.seconds
    return stood
