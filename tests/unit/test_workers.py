import os
import signal
import threading
import time
from contextlib import closing
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_files import moving_frames, write_video

from cmvc.control import Control
from cmvc.errors import CancelledError, EncoderCrashedError, EncoderStalledError, InvalidSettingError
from cmvc.media.picture import Picture
from cmvc.observer import NullObserver
from cmvc.profiles import embedded
from cmvc.records import StreamBytes
from cmvc.settings import encode_config
from cmvc.v1 import common_pb2, encoder_pb2
from cmvc_encoder.coding.mode import Trial
from cmvc_encoder.ingest.cutting import Batch
from cmvc_encoder.ingest.window import Window
from cmvc_encoder.pipeline import encode
from cmvc_encoder.planning.ledger import Ledger
from cmvc_encoder.planning.planner import LAG, ImagesTurn, Part, Planner
from cmvc_encoder.semantics.embedded import EmbeddedExtractor
from cmvc_encoder.workers import life
from cmvc_encoder.workers.line import in_order
from cmvc_encoder.workers.pictures import SharedPictures, shared
from cmvc_encoder.workers.spawner import SPAWNER
from cmvc_encoder.workers.task import Order
from cmvc_encoder.workers.workshop import TRIES, Workshop

TRIAL = Trial([], 0, 0.0, saturated=False, floor=False)


def picture(level, width=35, height=17):
    luma = np.arange(width * height, dtype=np.uint16).reshape(height, width)
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), level, np.uint8)
    return Picture((luma + level).astype(np.uint8), chroma, chroma + np.uint8(1))


def window(pictures, following=None, first_frame=0):
    return Window(pictures, first_frame, 35, 17, Fraction(24), opens_shot=True, closes_shot=False, following=following)


def order(mode=common_pb2.MODE_TT2V, **changes):
    settings = {"byte_budget": 200, "quality": 0, "captions": True, "tries_images": False, "last": True, "asked": ""}
    return Order(mode=mode, effort=encoder_pb2.EFFORT_FAST, profile=embedded.PROFILE, **(settings | changes))


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.planes, other.planes, strict=True))


@pytest.mark.parametrize("following", [None, picture(9)])
def test_shared_pictures_are_the_pictures_each_of_them_once(following):
    still = picture(1)
    given_ = window([still, picture(2), still], following)
    made = shared(given_)
    assert isinstance(made.pictures, SharedPictures)
    assert all(same(one, other) for one, other in zip(given_.pictures, made.pictures, strict=True))
    assert made.pictures[0] is made.pictures[2]
    assert (made.following is None) if following is None else same(made.following, following)
    read = made.pictures.layout.pictures(made.pictures.memory)
    assert len(set(map(id, read))) == 2 + (following is not None)
    assert all(same(one, other) for one, other in zip(made.pictures, read, strict=False))


def batches(count, taken):
    for number in range(count):
        taken.append(number)
        yield Batch(window([picture(number)], first_frame=number), [], last=number == count - 1)


@pytest.mark.parametrize("jobs", [1, 3])
def test_windows_come_in_order_a_bounded_number_at_once(jobs):
    taken, running, most = [], [], []
    ready = threading.Barrier(jobs, timeout=20)

    def begin(batch):
        def work():
            running.append(batch)
            most.append(len(running))
            ready.wait()  # as many as that are at work at once
            time.sleep(0.02 * (jobs - batch.window.first_frame % jobs))  # the later ones are done first
            running.remove(batch)
            return TRIAL

        return batch, work

    with closing(in_order(batches(4 * jobs, taken), begin, jobs, Control())) as coded:
        for number, (batch, _) in enumerate(coded):
            assert batch.window.first_frame == number
            assert len(taken) <= number + jobs + 1
    assert len(taken) == 4 * jobs
    assert max(most) == jobs


def test_an_error_comes_after_what_was_done_before_it():
    def begin(batch):
        def work():
            if batch.window.first_frame == 2:
                raise InvalidSettingError("no")
            return TRIAL

        return batch, work

    control, seen = Control(), []
    with pytest.raises(InvalidSettingError):
        seen.extend(batch.window.first_frame for batch, _ in in_order(batches(5, []), begin, 2, control))
    assert control.cancelled


def test_a_consumer_that_stops_early_stops_reading_and_the_work():
    control, stopped = Control(), threading.Event()
    control.on_cancel(stopped.set)

    def begin(batch):
        def work():
            assert batch.window.first_frame == 0 or stopped.wait(20)
            return TRIAL

        return batch, work

    taken = []
    coded = in_order(batches(100, taken), begin, 2, control)
    next(coded)
    coded.close()
    assert stopped.is_set()
    assert len(taken) <= 4


def part(frames, curve=None, *, last):
    return Part(frames, frames / 24, sound=0, segments=1, curve=curve, last=last)


def spend(frames, use, lag, bits=20_000):
    """Return what a stream takes, and its budgets, where each window is known ``lag`` windows later."""
    ledger = Ledger(bits, Fraction(24))
    planner = Planner(ledger, lambda segments, more: 20 + 3 * (segments + more))
    planner.took(60, 0)
    size, budgets, done = 60, [], 0
    for number, count in enumerate(frames):
        while done < number - lag + 1:
            size += int(budgets[done] * use[done])
            done += 1
            planner.took(size, done)
        budgets.append(planner.budget([part(count, last=number == len(frames) - 1)]))
    size += sum(int(budgets[each] * use[each]) for each in range(done, len(frames)))
    return size + 20 + 3 * len(frames), budgets, ledger.allowed(sum(frames))


WINDOWS = st.lists(st.tuples(st.integers(50, 300), st.floats(0.5, 1.0)), min_size=1, max_size=30)


@given(windows=WINDOWS, lag=st.integers(1, LAG))
def test_budgets_do_not_depend_on_how_many_windows_are_in_work_and_stay_under_the_target(windows, lag):
    frames, use = zip(*windows, strict=True)
    total, budgets, allowed = spend(frames, use, lag)
    assert budgets == spend(frames, use, LAG)[1]
    assert total <= allowed


def test_what_a_window_left_over_comes_back_after_the_lag():
    _, budgets, _ = spend([100] * 30, [0.8] * 30, LAG)
    assert max(budgets[1:LAG]) - min(budgets[1:LAG]) < 0.02 * budgets[1]
    assert budgets[LAG] > 1.1 * budgets[LAG - 1]


def test_images_are_tried_ever_less_often_and_again_once_they_won():
    def tried(most_skipped, modes):
        turn = ImagesTurn(most_skipped)
        due = []
        for number in range(len(modes)):
            due += [number] if turn.next() else []
            if number - LAG + 1 >= 0:
                turn.took(modes[number - LAG + 1])
        return due

    coded = [common_pb2.MODE_CODED] * 40
    assert tried(None, coded) == []
    assert tried(0, coded) == list(range(40))
    due = tried(4, coded)
    assert due[:7] == [0, 1, 3, 6, 10, 15, 20]
    assert {b - a for a, b in pairwise(due[5:])} == {5}
    won = [*coded[:15], common_pb2.MODE_IT2V, *coded[16:]]
    assert set(tried(4, won)) != set(due)


def test_a_window_is_coded_as_a_worker_codes_it_and_stages_are_told():
    told = []

    class Watching(NullObserver):
        def stage(self, stage, mode, seconds):
            told.append((stage, mode))

    workshop = Workshop(EmbeddedExtractor(), Watching(), Control())
    first, again = (workshop.code(window([picture(n) for n in range(4)]), order()) for _ in range(2))
    assert first == again
    assert first.size <= 200
    assert told == [("semantics", common_pb2.MODE_TT2V)] * 2


def test_a_model_stays_in_this_process_and_is_asked():
    asked = []

    class Model(EmbeddedExtractor):
        id = "here"

        def prepare(self, window, runs):
            asked.append([list(run) for run in runs])

        def describe(self, window, frames, max_bytes=120, said=None):
            asked.append(len(window.pictures))
            return super().describe(window, frames, max_bytes, said)

    given_ = window([picture(n) for n in range(4)])
    trial = Workshop(Model(), NullObserver(), Control()).code(given_, order(asked="here"))
    assert asked == [[[0, 1, 2, 3]], 4]
    assert trial == Workshop(EmbeddedExtractor(), NullObserver(), Control()).code(given_, order())


def test_errors_of_a_worker_and_of_the_model_are_raised_here():
    class Broken(EmbeddedExtractor):
        def prepare(self, window, runs):
            raise InvalidSettingError("broken")

    given_ = window([picture(1)])
    with pytest.raises(InvalidSettingError, match="broken"):
        Workshop(Broken(), NullObserver(), Control()).code(given_, order(asked="broken"))
    with pytest.raises(KeyError):
        Workshop(EmbeddedExtractor(), NullObserver(), Control()).code(given_, order(mode=99))


def test_workers_that_are_killed_are_tried_again_then_given_up():
    class Deadly(EmbeddedExtractor):
        deaths = 0

        def prepare(self, window, runs):
            if self.deaths:
                self.deaths -= 1
                SPAWNER.stop()  # takes all workers with it

    for deaths in range(TRIES):
        model = Deadly()
        model.deaths = deaths
        assert Workshop(model, NullObserver(), Control()).code(window([picture(1)]), order(asked="deadly")).segments
    model.deaths = TRIES
    with pytest.raises(EncoderCrashedError, match="frames 0 to 0 ended without a word"):
        Workshop(model, NullObserver(), Control()).code(window([picture(1)]), order(asked="deadly"))


def stop_one_worker():
    """Stop one that runs, as SIGSTOP does it: it holds what it has and does nothing."""
    parent = SPAWNER._process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    states = {int(each): Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0] for each in children}
    running = [each for each, state in states.items() if state in "RSD"]
    if running:
        os.kill(running[0], signal.SIGSTOP)
    return running


def test_a_worker_that_hangs_is_killed_and_its_window_coded_again_the_same(monkeypatch, caplog):
    class Stopping(EmbeddedExtractor):
        stops = 0

        def prepare(self, window, runs):
            if self.stops:
                self.stops -= 1
                assert stop_one_worker()

    given_ = window([picture(n) for n in range(4)])
    undisturbed = Workshop(Stopping(), NullObserver(), Control()).code(given_, order(asked="stopping"))
    monkeypatch.setattr(life, "SILENT_SECONDS", 3.0)
    model = Stopping()
    model.stops = TRIES - 1
    assert Workshop(model, NullObserver(), Control()).code(given_, order(asked="stopping")) == undisturbed
    assert "frames 0 to 3 said nothing for 3 s" in caplog.text
    model.stops = TRIES
    with pytest.raises(EncoderStalledError, match="frames 0 to 3 said nothing for 3 s"):
        Workshop(model, NullObserver(), Control()).code(given_, order(asked="stopping"))


@pytest.mark.slow
def test_a_stream_whose_worker_was_stopped_is_the_same(monkeypatch, caplog):
    video, config = write_video(moving_frames(48)), encode_config(mode="coded", bitrate="40k", effort="fast")

    def encoded():
        return b"".join(
            each.data for each in encode(BytesIO(video), config, Control()) if isinstance(each, StreamBytes)
        )

    undisturbed = encoded()
    monkeypatch.setattr(life, "SILENT_SECONDS", 3.0)
    monkeypatch.setattr(life, "STARTING_SECONDS", 3.0)  # it may be stopped before its first word
    for _ in range(5):  # one that is stopped may have said its last word already
        done = threading.Event()

        def stop(done=done):
            while not done.is_set() and not stop_one_worker():
                time.sleep(0.005)

        stopping = threading.Thread(target=stop, daemon=True)
        stopping.start()
        assert encoded() == undisturbed
        done.set()
        stopping.join()
        if "said nothing for 3 s" in caplog.text:
            return
    pytest.fail("no worker was stopped in time")


def test_a_worker_says_that_it_works_while_it_makes_steps(monkeypatch):
    monkeypatch.setattr(life, "BEAT_SECONDS", 0.0)
    steps, said = life.Steps(), []

    def say():
        said.append(True)
        if len(said) == 3:
            monkeypatch.setattr(life, "STEP_SECONDS", 0.0)  # as if the last step were long ago

    life.keep_saying(say, steps)
    assert len(said) == 3
    monkeypatch.setattr(life, "STEP_SECONDS", 0.05)
    time.sleep(0.1)
    assert steps.seconds > life.STEP_SECONDS
    steps.check()
    assert steps.seconds < 0.1


def test_cancelled_work_is_not_begun():
    control = Control()
    control.cancel()
    with pytest.raises(CancelledError):
        Workshop(EmbeddedExtractor(), NullObserver(), control).code(window([picture(1)]), order())
