"""Several segments asked of one generator at once."""

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from cmvc.errors import CmvcError

_DONE = object()


def together(generator, works):
    """Yield the items of works (conditions and control) as they come, each with its work's number; errors come last."""
    found, left_alone = queue.Queue(8), threading.Event()

    def offer(number, item):
        while not left_alone.is_set():
            with suppress(queue.Full):
                found.put((number, item), timeout=0.1)
                return

    def make(number, conditions, control):
        try:
            for item in generator.generate(conditions, control):
                offer(number, item)
        except CmvcError as error:
            offer(number, error)
        finally:
            offer(number, _DONE)

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(make, number, *work) for number, work in enumerate(works)]
        left = len(works)
        try:
            while left:
                number, item = found.get()
                if item is _DONE:
                    left -= 1
                else:
                    yield number, item
        finally:
            left_alone.set()
        for each in running:
            each.result()
