"""Jobs that share runs of the model."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc_decoder.speed.batching import drive


@dataclass(frozen=True)
class Wish:
    job: int
    number: int
    shape: str


def job(index, shapes, closed=None):
    """Want each shape in turn; return what was made of each."""
    got = []
    try:
        for number, shape in enumerate(shapes):
            got.append((yield Wish(index, number, shape)))
    finally:
        if closed is not None:
            closed.append(index)
    return got


@given(stories=st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=6), batch=st.integers(1, 4))
def test_every_wish_is_made_once_in_its_jobs_order(stories, batch):
    runs = []

    def run(wishes):
        runs.append(list(wishes))
        return [f"{wish.job}.{wish.number}{wish.shape}" for wish in wishes]

    results = drive([job(index, shapes) for index, shapes in enumerate(stories)], run, batch)

    assert results == [
        [f"{index}.{number}{shape}" for number, shape in enumerate(shapes)] for index, shapes in enumerate(stories)
    ]
    assert all(1 <= len(wishes) <= batch for wishes in runs)
    assert all(len({wish.shape for wish in wishes}) == 1 for wishes in runs)
    assert all(len({wish.job for wish in wishes}) == len(wishes) for wishes in runs)


@given(jobs=st.integers(0, 7), windows=st.integers(0, 4), batch=st.integers(1, 4))
def test_equal_jobs_fill_their_batches(jobs, windows, batch):
    runs = []

    def run(wishes):
        runs.append(len(wishes))
        return list(wishes)

    drive([job(index, "a" * windows) for index in range(jobs)], run, batch)

    assert sum(runs) == jobs * windows
    # No job has two windows in one run, so the longest needs as many runs as it has windows.
    assert len(runs) <= max(windows, -(-jobs * windows // batch)) + windows


def test_the_fullest_batch_goes_first_and_the_earliest_job_among_equals():
    runs = []

    def run(wishes):
        runs.append([wish.job for wish in wishes])
        return list(wishes)

    drive([job(0, "a"), job(1, "b"), job(2, "b"), job(3, "c")], run, 4)

    assert runs == [[1, 2], [0], [3]]


def test_a_failing_run_closes_all_jobs():
    closed = []

    def run(wishes):
        raise OSError("the device is gone")

    with pytest.raises(OSError, match="gone"):
        drive([job(0, "a", closed), job(1, "b", closed), job(2, "a", closed)], run, 2)

    assert sorted(closed) == [0, 1, 2]


def test_a_failing_job_closes_all_others():
    closed = []

    def bad():
        yield Wish(1, 0, "a")
        raise KeyError("no such frame")

    with pytest.raises(KeyError, match="no such frame"):
        drive([job(0, "bb", closed), bad()], list, 2)

    assert closed == [0]


@pytest.mark.parametrize("made", [[], ["x", "y", "z"]])
def test_as_many_must_come_back_as_went_in(made):
    with pytest.raises(ValueError, match="zip"):
        drive([job(0, "a"), job(1, "a")], lambda wishes: made, 2)
