"""SVT-AV1's threads and real-time priority, where this process could have it."""

import os
import threading
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.priority import threads, usual_priority


def _may_be_real_time() -> bool:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return True


def _policies(before: set[int]) -> set[int]:
    """Return those of the threads that there were not ``before``."""
    found = set()
    for thread in threads() - before:
        with suppress(ProcessLookupError):  # it has just ended
            found.add(os.sched_getscheduler(thread))
    return found


needs_root = pytest.mark.skipif(not _may_be_real_time(), reason="this process may not take real-time priority anyway")


@needs_root
def test_a_thread_made_within_the_block_loses_it_when_the_block_ends():
    taken, done = threading.Event(), threading.Event()
    before = threads()

    def take_it() -> None:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        taken.set()
        done.wait()

    thread = threading.Thread(target=take_it)
    with usual_priority():
        thread.start()
        taken.wait()
        assert os.SCHED_FIFO in _policies(before)
    assert _policies(before) == {os.SCHED_OTHER}
    done.set()
    thread.join()


@needs_root
def test_no_thread_of_an_open_encoder_has_it(monkeypatch):
    noise = np.random.default_rng(1).integers(0, 255, (160, 240), np.uint8)
    grey = np.full((80, 120), 128, np.uint8)
    to_frame, seen = av1.to_frame, []

    def watched(picture: Picture) -> object:
        seen.append((_policies(before), len(threads() - before)))
        return to_frame(picture)

    before = threads()
    monkeypatch.setattr(av1, "to_frame", watched)  # called once for each picture, when the encoder is open
    av1.encode([Picture(np.roll(noise, number, 1), grey, grey) for number in range(8)], frame_rate=Fraction(24), crf=50)
    assert all(policies == {os.SCHED_OTHER} for policies, _ in seen)
    assert max(count for _, count in seen) > 2, "SVT-AV1's threads are among those looked at"
