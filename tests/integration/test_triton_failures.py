"""A real Triton server in trouble: dead models, cancelled and late calls, full lines, missing weights."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import numpy as np
import psutil
import tiny_models
from profile_streams import FRAMES, requests, stream
from servers import CMVC, PATIENCE_S, servers, until
from triton_server import SERVER, free_port, triton

from cmvc.client import Client
from cmvc.control import Control
from cmvc.errors import (
    BackendUnavailableError,
    CancelledError,
    DeadlineError,
    InvalidSettingError,
    OverloadedError,
)
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.executors.registry import make_executor
from cmvc_decoder.generator import Step
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.speed.options import IN_WORK
from cmvc_decoder.triton import call
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import ask
from cmvc_decoder.triton.canary import Watch
from cmvc_decoder.triton.wire import CANARY, PROGRESS

pytestmark = pytest.mark.xdist_group("triton")  # see tests/conftest.py
PROFILE = "wan-vace-1.3b"
BATCH = 2
GRID = MODEL_PROFILES[PROFILE].grid
ENDLESS = 200  # steps: with large frames, minutes that no test waits for


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    tiny_models.store(root, PROFILE)
    return root


@pytest.fixture(scope="module")
def server(store):
    with triton(store, PROFILE, speed=(f"batch={BATCH}",)) as each:
        yield each


@pytest.fixture
def executor(server):
    server.await_ready()
    each = make_executor(DecoderOptions(profiles=(PROFILE,), triton=server.address))
    each.start()
    until(lambda: each.works(PROFILE), "the executor finds the model alive")
    yield each
    each.close()


def work(steps=2, mode="tt2v", frames=FRAMES, **settings):
    (request,) = requests(stream(PROFILE, mode))
    request.segment.closing_frames = frames
    request.profile.settings.update({"steps": str(steps), **settings})
    return request, read_conditions(request, DEFAULT_LIMITS)


def endless():
    return work(ENDLESS, pixels=str(256 * 256), guidance="5")


def follow(executor, asked, control, note):
    """Take all that comes of some work, and tell ``note`` of each step."""
    for item in executor.generate(*asked, control):
        if isinstance(item, Step):
            note(item)


def canary_comes_back(server):
    """Say whether the model takes new work; it would be busy for minutes with what should have ended."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return len(list(ask(Address(server.address), PROFILE, CANARY, Control(deadline), silent_s=PATIENCE_S))) > 0
        except OverloadedError:  # cancelled work leaves the line when its turn comes
            time.sleep(0.1)


def test_cancelling_stops_the_model(server, executor):
    control = Control()
    steps = []

    def note(step):
        steps.append(step.done)
        if step.done == 2:
            control.cancel()

    with pytest.raises(CancelledError):
        follow(executor, endless(), control, note)
    assert max(steps) == 2
    assert canary_comes_back(server)


def test_a_deadline_stops_the_model(server, executor):
    with pytest.raises(DeadlineError):
        list(executor.generate(*endless(), Control(time.monotonic() + 3)))
    assert canary_comes_back(server)


def test_a_caller_who_goes_away_stops_the_model(server, executor):
    items = executor.generate(*endless(), Control())
    assert isinstance(next(items), Step)
    items.close()
    assert canary_comes_back(server)


def test_a_full_line_is_refused_with_a_hint(server, executor):
    controls = [Control() for _ in range(24)]
    refused, started = [], []

    def run(control):
        try:
            for _ in executor.generate(*endless(), control):
                started.append(control)
        except OverloadedError as error:
            refused.append(error)
        except CancelledError:
            pass

    threads = [threading.Thread(target=run, args=(control,)) for control in controls]
    for thread in threads:
        thread.start()
    until(lambda: refused and started, "one is refused while one works")
    for control in controls:
        control.cancel()
    for thread in threads:
        thread.join()
    assert all(error.retry_after_s > 0 for error in refused)
    assert len(refused) < len(controls)
    assert canary_comes_back(server)


def test_errors_keep_their_class(executor):
    with pytest.raises(InvalidSettingError, match="few_steps=lcm"):
        list(executor.generate(*work(few_steps="lcm"), Control()))


def test_one_bad_segment_of_a_batch_does_not_harm_the_other(executor):
    wanted = [item for item in executor.generate(*work(), Control()) if isinstance(item, Picture)]
    results = {}

    def run(name, request):
        try:
            results[name] = [item for item in executor.generate(*request, Control()) if isinstance(item, Picture)]
        except InvalidSettingError as error:
            results[name] = error

    jobs = [("bad", work(few_steps="lcm")), ("good", work()), ("twin", work())]
    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(results["bad"], InvalidSettingError)
    for name in ("good", "twin"):
        for a, b in zip(results[name], wanted, strict=True):
            assert np.abs(a.y.astype(int) - b.y).max() <= 1  # a batch of two may round otherwise


@pytest.mark.slow
def test_no_canary_is_sent_while_work_makes_steps(server, executor, monkeypatch):
    sent = []
    monkeypatch.setattr(Watch, "_send_canary", lambda self: sent.append(self.model))
    control = Control()
    begun = []

    def end_after_a_while(step):
        if step.done and not begun:
            time.sleep(2.5)  # a canary that was due before is through
            sent.clear()
            begun.append(time.monotonic())
        if begun and time.monotonic() - begun[0] > 8:  # several canaries would have been due
            control.cancel()

    with pytest.raises(CancelledError):
        follow(executor, endless(), control, end_after_a_while)
    assert sent == []
    until(lambda: sent, "the canary takes over again")


@pytest.mark.slow
def test_work_that_makes_no_step_is_given_up(server, executor, monkeypatch):
    monkeypatch.setattr(call, "SILENT_S", 0.2)
    with pytest.raises(BackendUnavailableError, match="silent"):
        list(executor.generate(*work(pixels=str(400 * 400), guidance="5"), Control()))  # one takes seconds
    assert canary_comes_back(server)


def test_work_in_line_is_heard_of_and_waits(server, executor, monkeypatch):
    monkeypatch.setattr(call, "SILENT_S", 0.2)
    control = Control()
    begun = set()

    def take():
        for name, _ in ask(
            Address(server.address), PROFILE, endless()[0].SerializeToString(), control, silent_s=PATIENCE_S
        ):
            if name == PROGRESS:
                begun.add(threading.get_ident())

    def work_on():
        with pytest.raises(CancelledError):
            take()

    busy = [threading.Thread(target=work_on) for _ in range(IN_WORK * BATCH)]
    for each in busy:
        each.start()
    until(lambda: len(begun) == len(busy), "all that have room are in work")
    in_line = Control()
    heard = []

    def note(step):
        heard.append(step.done)
        if len(heard) == 3:
            in_line.cancel()

    with pytest.raises(CancelledError):
        follow(executor, work(), in_line, note)
    assert heard == [0, 0, 0]
    control.cancel()
    for each in busy:
        each.join()


def test_requests_that_come_one_by_one_share_a_run_and_leave_it_when_they_are_done(server):
    """Two decoders, each with one request, while the model is busy with a third: the two are made together then.

    One of them is of one window, the other goes on to a second.
    """
    server.await_ready()
    decoders = [make_executor(DecoderOptions(profiles=(PROFILE,), triton=server.address)) for _ in range(2)]
    busy, told, window = Control(), [], GRID.frames.most

    def hold():
        with pytest.raises(CancelledError):
            follow(decoders[0], endless(), busy, lambda step: told.append(("busy", step.done)))

    def ask_for(name, frames, executor):
        follow(executor, work(40, frames=frames, pixels="1"), Control(), lambda step: told.append((name, step.done)))
        told.append((name, "all"))

    threads = [threading.Thread(target=hold)]
    threads[0].start()
    until(lambda: ("busy", 1) in told, "the model is busy")
    for name, frames, executor in (("one", window, decoders[0]), ("two", 2 * window - GRID.overlap, decoders[1])):
        threads.append(threading.Thread(target=ask_for, args=(name, frames, executor)))
        threads[-1].start()
        until(lambda name=name: sum(each == (name, 0) for each in told) > 1, "it waits")
    time.sleep(1)  # both have left Triton's line by then
    busy.cancel()
    for each in threads:
        each.join()
    assert told.index(("two", 1)) < told.index(("one", 40))
    assert told.index(("one", 1)) < told.index(("two", 40))
    assert told.index(("one", "all")) < told.index(("two", 80))


def test_a_killed_model_is_noticed_and_comes_back(server, executor):
    killed = []

    def kill_once(step):
        if step.done == 1 and not killed:
            killed.append(step)
            server.kill_stub(PROFILE)

    with pytest.raises(BackendUnavailableError):
        follow(executor, endless(), Control(), kill_once)
    assert not executor.works(PROFILE)
    server.await_ready()
    until(lambda: executor.works(PROFILE), "the executor finds it alive again")
    assert sum(isinstance(item, Picture) for item in executor.generate(*work(), Control())) == FRAMES


def test_an_idle_model_that_is_killed_is_noticed(server, executor):
    server.kill_stub(PROFILE)
    until(lambda: not executor.works(PROFILE), "a canary finds it dead")
    server.await_ready()
    until(lambda: executor.works(PROFILE), "it is back")


def test_a_stream_survives_a_model_killed_in_the_middle(server):
    server.await_ready()
    data = stream(PROFILE, "tt2v", steps=20)
    with servers() as start:
        decoder = start("decoder", f"--profile={PROFILE}", "--triton", server.address)
        gateway = start("gateway", "--decoder", decoder.address, "--wait", "300")
        with Client(gateway.address) as client:
            wanted = b"".join(client.decode_stream([data]))
            transfer = client.decode_stream([data])
            parts = []
            thread = threading.Thread(target=lambda: parts.extend(transfer))
            thread.start()
            busy = 'cmvc_inflight_segments{service="decoder"}'
            until(lambda: decoder.metric(busy) > 0, "the decoder works")
            server.kill_stub(PROFILE)
            thread.join()
            assert b"".join(parts) == wanted
            assert transfer.summary.segments == 1
            assert gateway.metric('cmvc_segments_redriven_total{reason="unavailable"}') >= 1


def test_missing_weights_end_the_supervisor_with_what_to_run(tmp_path):
    command = [*CMVC, "triton", "--listen", f"127.0.0.1:{free_port()}", "--server", SERVER, "--models", tmp_path]
    done = subprocess.run(
        [*command, f"--profile={PROFILE}"], capture_output=True, text=True, timeout=PATIENCE_S * 3, check=False
    )
    assert done.returncode == 1
    assert f"cmvc models pull {PROFILE}" in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: BACKEND_UNAVAILABLE: ")


@pytest.mark.slow
def test_nothing_is_left_of_a_supervisor_that_was_killed(store):
    with triton(store, PROFILE) as each:
        family = psutil.Process(each.process.pid).children(recursive=True)
        assert each.stub(PROFILE) in family
        each.process.kill()
        until(lambda: not psutil.wait_procs(family, timeout=0)[1], "Triton and its models have ended too")
        assert list(Path("/dev/shm").glob(f"cmvc_triton_{each.process.pid}_*")) == []


def test_nothing_is_left_in_shared_memory(store):
    with triton(store, PROFILE) as each:
        prefix = f"cmvc_triton_{each.process.pid}_*"
        assert Path(f"/dev/shm/{prefix[:-1]}steps_{PROFILE}").exists()  # touched by the canary's step
        each.kill_stub(PROFILE)
        each.await_ready()
    assert not list(Path("/dev/shm").glob(prefix))
