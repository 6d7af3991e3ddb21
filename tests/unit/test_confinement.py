"""A process that reads strangers' media has nothing left to do harm with: each thing is tried inside a real one."""

import tempfile

import pytest
from confined import MAY, TRIES

from cmvc.processes.confinement import filters_calls
from cmvc.processes.spawner import Spawner

FILTERED = Spawner("confined:serve")
UNFILTERED = Spawner("confined:serve_unfiltered")


@pytest.fixture(scope="module", autouse=True)
def processes():
    yield
    FILTERED.stop()
    UNFILTERED.stop()


def tried(spawner, names):
    """Return what came of trying things, one after the other, in one confined process."""
    with tempfile.TemporaryFile() as file, spawner.worker(file.fileno()) as worker:

        def outcome(name):
            worker.connection.send_bytes(name.encode())
            return worker.connection.recv_bytes().decode()

        return {name: outcome(name) for name in names}


@pytest.mark.skipif(not filters_calls(), reason="libseccomp2 is not installed")
def test_under_the_filter_every_other_call_of_the_system_is_refused():
    outcomes = tried(FILTERED, [*TRIES, *MAY, "memory", "large"])
    assert {outcomes.pop(name) for name in TRIES} == {"EPERM"}
    assert outcomes == {"thread": "done", "memory": "MemoryError", "large": "EFBIG"}


def test_without_it_no_file_or_socket_opens_and_memory_is_bounded():
    assert tried(UNFILTERED, ["socket", "open", "write", "memory", "large", "thread"]) == {
        "socket": "EMFILE",
        "open": "EMFILE",
        "write": "EMFILE",
        "memory": "MemoryError",
        "large": "EFBIG",
        "thread": "done",
    }
