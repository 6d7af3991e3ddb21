import gc
import threading
import time
import weakref
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from cmvc.ahead import Begun, Stopwatch, ahead, beats, within
from cmvc.media import av1
from cmvc.media.picture import Picture


def test_items_come_in_order():
    assert list(ahead(iter(range(100)), 3)) == list(range(100))


def test_an_error_comes_after_the_items_before_it():
    def failing():
        yield 1
        raise KeyError("two")

    items = ahead(failing(), 3)
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)


def test_work_goes_on_while_the_consumer_is_busy_but_not_without_bound():
    made = []
    items = ahead((made.append(n) or n for n in range(1000)), 5)
    next(items)
    while len(made) < 6:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) <= 8
    items.close()


def test_closing_early_ends_the_source_and_its_thread():
    ended = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            ended.set()

    before = threading.active_count()
    items = ahead(endless(), 2)
    next(items)
    items.close()
    assert ended.is_set()
    assert threading.active_count() == before


def test_what_has_begun_needs_no_consumer_and_ends_when_closed():
    made, ended = threading.Event(), threading.Event()

    def endless():
        try:
            while True:
                made.set()
                yield 0
        finally:
            ended.set()

    begun = Begun(endless(), 2)
    assert made.wait(60)
    begun.close()
    assert ended.is_set()


def test_what_has_begun_raises_its_error_after_the_items_before_it_and_then_has_ended():
    def failing():
        yield 1
        raise KeyError("two")

    items = Begun(failing(), 1)
    assert next(items) == 1
    with pytest.raises(KeyError, match="two"):
        next(items)
    assert list(items) == []
    items.close()


class Picturelike:
    """Something large that work has in hand."""


def test_an_error_that_was_dealt_with_holds_nothing_of_the_work():
    held = []

    def source():
        picture = Picturelike()
        held.append(weakref.ref(picture))
        yield 1
        raise ValueError("stopped")

    gc.disable()  # which finds it sooner or later; a gigabyte should not wait for that
    try:
        with suppress(ValueError):
            list(ahead(source(), 1))
        assert held[0]() is None
    finally:
        gc.enable()


def test_stopwatch_counts_the_time_of_the_items_alone(monkeypatch):
    now = [0]
    monkeypatch.setattr("cmvc.ahead.time.monotonic", lambda: now[0])

    def slow():
        for _ in range(3):
            now[0] += 2
            yield 0

    watch = Stopwatch(slow())
    for _ in watch:
        now[0] += 5
    assert (watch.seconds, watch.count) == (6, 3)


def test_within_hands_over_results_and_errors():
    assert within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0)


def test_an_encoder_that_hangs_is_left_behind():
    """SVT-AV1 really hangs on this size, which ``av1.encode`` refuses."""
    chroma = np.full((64, 12), 128, np.uint8)
    pictures = [Picture(np.full((128, 24), 90, np.uint8), chroma, chroma)] * 4
    with pytest.raises(TimeoutError):
        within(2.0, lambda: av1.encode_once(pictures, Fraction(24), "crf=40:lp=2", 8))


def test_beats_come_until_the_work_is_done_and_then_its_result():
    go_on = threading.Event()

    def work():
        go_on.wait()
        return 7

    beating = beats(work, 0.001)
    assert [next(beating) for _ in range(3)] == [None, None, None]
    go_on.set()
    assert returned_by(beating) == 7


def returned_by(generator):
    """Return what a generator returns in the end."""
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


def test_beats_raise_what_the_work_raises_and_wait_for_it_when_left():
    with pytest.raises(ZeroDivisionError):
        list(beats(lambda: 1 / 0, 60))
    go_on, ended = threading.Event(), threading.Event()

    def work():
        go_on.wait()
        ended.set()

    beating = beats(work, 0.001)
    next(beating)
    go_on.set()
    beating.close()
    assert ended.is_set()
