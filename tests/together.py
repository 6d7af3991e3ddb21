"""Several segments asked of one generator at once."""

import queue
from concurrent.futures import ThreadPoolExecutor

from cmvc.errors import CmvcError

_DONE = object()


def together(generator, works):
    """Yield the items of works (conditions and control) as they come, each with its work's number; errors come last."""
    found = queue.Queue()

    def make(number, conditions, control):
        try:
            for item in generator.generate(conditions, control):
                found.put((number, item))
        except CmvcError as error:
            found.put((number, error))
        finally:
            found.put((number, _DONE))

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(make, number, *work) for number, work in enumerate(works)]
        left = len(works)
        while left:
            number, item = found.get()
            if item is _DONE:
                left -= 1
            else:
                yield number, item
        for each in running:
            each.result()
