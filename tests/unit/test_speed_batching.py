"""Threads that share runs of one model. Nothing here depends on how long anything takes: runs wait to be let go."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc_decoder.speed import batching
from cmvc_decoder.speed.batching import Batcher

PATIENCE_S = 60


@dataclass(frozen=True)
class Wish:
    job: int
    number: int
    shape: str


class Model:
    """Runs that are noted, each of which waits until ``go`` is set."""

    def __init__(self, *, held=False):
        self.runs = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()
        if not held:
            self.go.set()

    def run(self, wishes):
        self.runs.append(list(wishes))
        self.begun.release()
        assert self.go.wait(PATIENCE_S)
        return [f"{wish.job}.{wish.number}{wish.shape}" for wish in wishes]


def job(batcher, index, shapes, check=lambda: None):
    with batcher.member():
        return [batcher.make(Wish(index, number, shape), check) for number, shape in enumerate(shapes)]


def in_threads(batcher, stories):
    with ThreadPoolExecutor(max(len(stories), 1)) as pool:
        jobs = [pool.submit(job, batcher, index, shapes) for index, shapes in enumerate(stories)]
        return [each.result(PATIENCE_S) for each in jobs]


@settings(max_examples=20)
@given(stories=st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=5), batch=st.integers(1, 3))
def test_every_wish_is_made_once_in_its_jobs_order(stories, batch):
    model = Model()
    results = in_threads(Batcher(model.run, batch), stories)
    assert results == [
        [f"{index}.{number}{shape}" for number, shape in enumerate(shapes)] for index, shapes in enumerate(stories)
    ]
    assert all(1 <= len(wishes) <= batch for wishes in model.runs)
    assert all(len({wish.shape for wish in wishes}) == 1 for wishes in model.runs)
    assert all(len({wish.job for wish in wishes}) == len(wishes) for wishes in model.runs)


def waiting(batcher, count):
    """Return once so many wishes are in line."""
    with batcher._changed:
        assert batcher._changed.wait_for(lambda: len(batcher._line) == count, PATIENCE_S)


def test_what_came_while_the_model_was_busy_shares_the_next_run_the_earliest_first():
    model = Model(held=True)
    batcher = Batcher(model.run, 2)
    with ThreadPoolExecutor(5) as pool:
        jobs = []
        for index, shapes in enumerate(["x", "b", "a", "b", "b"]):
            jobs.append(pool.submit(job, batcher, index, shapes))
            if index == 0:
                assert model.begun.acquire(timeout=PATIENCE_S)
            waiting(batcher, index)
        model.go.set()
        for each in jobs:
            each.result(PATIENCE_S)
    assert [[wish.job for wish in run] for run in model.runs] == [[0], [1, 3], [2], [4]]


def test_a_run_lingers_for_those_who_said_that_they_will_want_something(monkeypatch):
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)
    model = Model()
    batcher = Batcher(model.run, 2)
    with ThreadPoolExecutor(2) as pool:
        with batcher.member():  # prepares
            early = pool.submit(job, batcher, 0, "a")
            waiting(batcher, 1)
            assert not model.runs
            assert batcher.make(Wish(1, 0, "a"), lambda: None) == "1.0a"
        early.result(PATIENCE_S)
    assert [[wish.job for wish in run] for run in model.runs] == [[0, 1]]


def test_whoever_is_stopped_returns_at_once_and_leaves_the_others_alone():
    model = Model(held=True)
    batcher = Batcher(model.run, 4)
    stopped = threading.Event()

    def check():
        if stopped.is_set():
            raise TimeoutError("nobody wants it")

    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(job, batcher, 0, "a", check)
        assert model.begun.acquire(timeout=PATIENCE_S)
        in_line, other = pool.submit(job, batcher, 1, "a", check), pool.submit(job, batcher, 2, "a")
        waiting(batcher, 2)
        stopped.set()
        for each in (running, in_line):
            with pytest.raises(TimeoutError):
                each.result(PATIENCE_S)
        model.go.set()
        assert other.result(PATIENCE_S) == ["2.0a"]
    assert [[wish.job for wish in run] for run in model.runs] == [[0], [2]]


def test_a_failing_run_fails_those_in_it_and_the_next_goes_on():
    fails = iter([OSError("the device is gone")])

    def run(wishes):
        for error in fails:
            raise error
        return ["made"] * len(wishes)

    batcher = Batcher(run, 2)
    with pytest.raises(OSError, match="gone"):
        job(batcher, 0, "a")
    assert job(batcher, 1, "a") == ["made"]


@pytest.mark.parametrize("made", [[], ["x", "y"]])
def test_as_many_must_come_back_as_went_in(made):
    with pytest.raises(ValueError, match="zip"):
        job(Batcher(lambda wishes: made, 2), 0, "a")
