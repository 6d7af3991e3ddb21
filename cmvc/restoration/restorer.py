"""Runs a restorer's network, by ONNX Runtime."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from itertools import chain

import cv2
import numpy as np

from cmvc.media.picture import Picture, Plane, chroma_size
from cmvc.media.scaling import resize
from cmvc.restoration.condition import CELL, Told, condition
from cmvc.restoration.settings import check_runnable
from cmvc.restoration.size import is_restored, restored_size

THREADS = 2  # fixed: sums must not be split as the machine likes
_PROVIDERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"}),  # a search by time would choose by chance
    ("CPUExecutionProvider", {}),
)
_lock = threading.Lock()


class Restorer:
    """Restores pictures that were coded small or coarsely."""

    def __init__(self, run: Callable[[None, Mapping[str, object]], Sequence[Plane]]) -> None:
        """Take the network as ``run`` of a session of ONNX Runtime; see ``load_restorer``."""
        self._run = run

    def restore(self, before: Picture, picture: Picture, after: Picture, told: Told) -> Picture:
        """Return ``picture`` corrected; the three pictures are neighbours of one size, ``told`` is a ``condition``."""
        width, height = picture.width, picture.height
        luma = np.stack([_padded(each.y, CELL) for each in (before, picture, after)])
        chroma = np.stack([_padded(plane, CELL // 2) for plane in (picture.u, picture.v)])
        given = {"luma": luma[None], "chroma": chroma[None], "condition": told[None]}
        restored_luma, restored_chroma = self._run(None, given)
        small_width, small_height = chroma_size(width, height)
        u, v = restored_chroma[0, :, :small_height, :small_width]
        return Picture(restored_luma[0, 0, :height, :width], u, v)

    def restored(self, coded: Iterable[Picture], width: int, height: int, quantiser: int) -> Iterator[Picture]:
        """Yield decoded pictures scaled and, unless they are large, restored, one behind the one that is asked for.

        Args:
            coded: neighbours in time; the first one's size decides.
            width: wanted, in pixels.
            height: likewise.
            quantiser: ``base_q_idx`` of the first one's frame, 0..255.
        """
        pictures = iter(coded)
        first = next(pictures, None)
        if first is None:
            return
        if not is_restored(first.width, first.height):
            yield from (resize(picture, width, height) for picture in chain([first], pictures))
            return
        size = restored_size((width, height), (first.width, first.height))
        told = told_of(first, size, quantiser)
        before = now = resize(first, *size)
        for picture in pictures:
            after = resize(picture, *size)
            yield resize(self.restore(before, now, after, told), width, height)
            before, now = now, after
        yield resize(self.restore(before, now, now, told), width, height)


def told_of(coded: Picture, size: tuple[int, int], quantiser: int) -> Told:
    """Return the condition under which a decoded picture is restored at ``size``."""
    scale = (coded.width * coded.height / (size[0] * size[1])) ** 0.5
    return condition(scale, quantiser)


def _padded(plane: Plane, side: int) -> Plane:
    """Return a plane whose sides divide by ``side``, its last samples repeated."""
    height, width = plane.shape
    right, bottom = -width % side, -height % side
    if not right and not bottom:
        return plane
    return np.asarray(cv2.copyMakeBorder(plane, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8)


def load_restorer(name: str) -> Restorer:
    """Return the restorer of that name, loaded once in a process.

    Raises:
        MissingServiceError: ONNX Runtime is not installed.
    """
    with _lock:
        return _loaded(name)


@cache
def _loaded(name: str) -> Restorer:
    check_runnable()
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it tells its maker of this machine, once it is loaded
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors alone
    available = runtime.get_available_providers()
    providers = [each for each in _PROVIDERS if each[0] in available]
    weights = files("cmvc.restoration").joinpath(f"{name}.onnx").read_bytes()
    return Restorer(runtime.InferenceSession(weights, options, providers=providers).run)
