"""Threads that share runs of one model. Nothing here depends on how long anything takes: stages wait to be let go."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import PATIENCE_S, until

from cmvc_decoder.speed import batching
from cmvc_decoder.speed.batching import Batcher


@dataclass(frozen=True)
class Wish:
    job: int
    number: int
    shape: str
    goes_on: bool = False


class Model:
    """Runs that are noted, each of which waits until ``go`` is set, and decoding likewise, until ``decoding`` is."""

    def __init__(self, *, held=False, decoding_held=False):
        self.runs, self.decoded = [], []
        self.begun, self.decoding_begun = threading.Semaphore(0), threading.Semaphore(0)
        self.go, self.decoding = threading.Event(), threading.Event()
        if not held:
            self.go.set()
        if not decoding_held:
            self.decoding.set()

    def run(self, wishes):
        self.runs.append(list(wishes))
        self.begun.release()
        assert self.go.wait(PATIENCE_S)
        return [f"{wish.job}.{wish.number}" for wish in wishes]

    def decode(self, wish, latents):
        self.decoded.append(wish)
        self.decoding_begun.release()
        assert self.decoding.wait(PATIENCE_S)
        return latents + wish.shape


def batcher_of(model, batch):
    return Batcher(model.run, model.decode, batch)


def job(batcher, index, shapes, check=lambda: None):
    with batcher.member():
        return [
            batcher.make(Wish(index, number, shape, number + 1 < len(shapes)), check)
            for number, shape in enumerate(shapes)
        ]


def in_threads(batcher, stories):
    with ThreadPoolExecutor(max(len(stories), 1)) as pool:
        jobs = [pool.submit(job, batcher, index, shapes) for index, shapes in enumerate(stories)]
        return [each.result(PATIENCE_S) for each in jobs]


@settings(max_examples=20)
@given(stories=st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=5), batch=st.integers(1, 3))
def test_every_wish_is_made_once_in_its_jobs_order(stories, batch):
    model = Model()
    results = in_threads(batcher_of(model, batch), stories)
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
    batcher = batcher_of(model, 2)
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
    batcher = batcher_of(model, 2)
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
    batcher = batcher_of(model, 4)
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

    batcher = Batcher(run, lambda _, latents: latents, 2)
    with pytest.raises(OSError, match="gone"):
        job(batcher, 0, "a")
    assert job(batcher, 1, "a") == ["made"]


@pytest.mark.parametrize("made", [[], ["x", "y"]])
def test_as_many_must_come_back_as_went_in(made):
    with pytest.raises(ValueError, match="zip"):
        job(Batcher(lambda wishes: made, lambda _, latents: latents, 2), 0, "a")


def test_the_next_run_begins_while_latents_are_decoded():
    """The first are not let go before the second run has begun, and that not before the first are being decoded."""
    model = Model(held=True, decoding_held=True)
    batcher = batcher_of(model, 1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(job, batcher, 0, "a")
        assert model.begun.acquire(timeout=PATIENCE_S)
        second = pool.submit(job, batcher, 1, "a")
        model.go.set()
        assert model.decoding_begun.acquire(timeout=PATIENCE_S)
        assert model.begun.acquire(timeout=PATIENCE_S)
        assert not first.done()
        model.decoding.set()
        assert (first.result(PATIENCE_S), second.result(PATIENCE_S)) == (["0.0a"], ["1.0a"])


def test_whoever_is_decoded_leaves_whatever_is_left_of_the_batch(monkeypatch):
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)
    second_may_be_decoded = threading.Event()

    def decode(wish, latents):
        assert not wish.job or second_may_be_decoded.wait(PATIENCE_S)
        return latents + wish.shape

    model = Model(held=True)
    batcher = Batcher(model.run, decode, 2)
    with ThreadPoolExecutor(2) as pool, batcher.member():
        jobs = [pool.submit(job, batcher, 0, "a")]
        waiting(batcher, 1)
        jobs.append(pool.submit(job, batcher, 1, "a"))
        model.go.set()
        assert jobs[0].result(PATIENCE_S) == ["0.0a"]
        second_may_be_decoded.set()
        jobs[1].result(PATIENCE_S)


def test_a_run_begins_only_while_less_than_a_batch_waits_to_be_decoded(monkeypatch):
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)
    model, waited = Model(decoding_held=True), []

    def denoise(wishes):
        waited.append(len(batcher._latents))
        return model.run(wishes)

    batcher = Batcher(denoise, model.decode, 2)
    with ThreadPoolExecutor(8) as pool, batcher.member():
        jobs = [pool.submit(job, batcher, index, "a") for index in range(8)]
        until(lambda: len(batcher._latents) == 3, "one is being decoded, one is left of the first run and two come")
        model.decoding.set()
        assert [each.result(PATIENCE_S) for each in jobs] == [[f"{index}.0a"] for index in range(8)]
    assert len(waited) == 4
    assert max(waited) == 1


def test_what_nobody_waits_for_is_not_decoded(monkeypatch):
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)
    model = Model(decoding_held=True)
    batcher = batcher_of(model, 2)
    stopped = threading.Event()

    def check():
        if stopped.is_set():
            raise TimeoutError("nobody wants it")

    with ThreadPoolExecutor(3) as pool:
        with batcher.member():  # so that the first two are in one run
            first = pool.submit(job, batcher, 0, "a")
            waiting(batcher, 1)
            gone = pool.submit(job, batcher, 1, "a", check)
        assert model.decoding_begun.acquire(timeout=PATIENCE_S)
        stopped.set()
        with pytest.raises(TimeoutError):
            gone.result(PATIENCE_S)
        assert not batcher._latents
        model.decoding.set()
        assert first.result(PATIENCE_S) == ["0.0a"]
        assert job(batcher, 2, "a") == ["2.0a"]
    assert [wish.job for wish in model.decoded] == [0, 2]


def test_decoding_that_fails_fails_its_own_alone():
    def decode(wish, latents):
        if not wish.job:
            raise OSError("the device is gone")
        return latents + wish.shape

    model = Model()
    batcher = Batcher(model.run, decode, 2)
    with pytest.raises(OSError, match="gone"):
        job(batcher, 0, "ab")
    assert job(batcher, 1, "ab") == ["1.0a", "1.1b"]


def test_segments_that_began_together_go_on_together(monkeypatch):
    """The first whose window is decoded waits for the others that go on: runs stay full."""
    monkeypatch.setattr(batching, "LINGER_S", PATIENCE_S)
    model = Model()
    batcher = batcher_of(model, 3)
    with ThreadPoolExecutor(3) as pool, batcher.member():
        jobs = [pool.submit(job, batcher, index, "aaa") for index in range(3)]
        for each in jobs:
            each.result(PATIENCE_S)
    assert [len(run) for run in model.runs] == [3, 3, 3]


HANGS = """
import threading
from cmvc_decoder.speed.batching import Batcher

class Wish:
    shape, goes_on = "a", False

def hang(*_):
    begun.set()
    threading.Event().wait()

def ask():
    with batcher.member():
        batcher.make(Wish(), lambda: None)

begun = threading.Event()
batcher = Batcher(%s, 1)
threading.Thread(target=ask, daemon=True).start()
assert begun.wait(60)
"""


@pytest.mark.parametrize("stages", ["hang, hang", "lambda wishes: wishes, hang"], ids=["denoising", "decoding"])
def test_a_stage_that_hangs_keeps_no_process_from_ending(stages):
    subprocess.run([sys.executable, "-c", HANGS % stages], check=True, timeout=PATIENCE_S)
