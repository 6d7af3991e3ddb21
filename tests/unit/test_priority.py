"""SVT-AV1's threads and real-time priority, where this process could have it."""

import os
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.priority import usual_priority


def _may_be_real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def _policies() -> set[int]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            found.add(os.sched_getscheduler(int(task.name)))
    return found


needs_root = pytest.mark.skipif(not _may_be_real_time(), reason="this process may not take real-time priority anyway")


@needs_root
def test_within_the_block_it_is_refused_and_afterwards_it_is_not():
    with usual_priority():
        assert not _may_be_real_time()
    assert _may_be_real_time()


@needs_root
def test_no_thread_of_an_encode_takes_it():
    noise = np.random.default_rng(1).integers(0, 255, (160, 240), np.uint8)
    grey = np.full((80, 120), 128, np.uint8)
    pictures = [Picture(np.roll(noise, number, 1), grey, grey) for number in range(24)]
    work = threading.Thread(target=lambda: av1.encode(pictures, frame_rate=Fraction(24), crf=50, preset=8))
    seen = set()
    work.start()
    while work.is_alive():
        seen |= _policies()
    assert seen == {os.SCHED_OTHER}
