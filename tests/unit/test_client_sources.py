import io
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.client.call import Work
from cmvc.client.sources import opened, pieces_of
from cmvc.errors import CancelledError
from cmvc.wire.transfer import CHUNK_BYTES

DATA = bytes(range(256)) * 2000


def work():
    return Work(None, None)


def sources(folder):
    path = folder / "file"
    path.write_bytes(b"before" + DATA)
    yield "path", lambda: str(whole(folder))
    yield "file", lambda: at(path.open("rb"), 6)
    yield "raw file", lambda: at(path.open("rb", buffering=0), 6)
    yield "file in memory", lambda: at(io.BytesIO(b"before" + DATA), 6)
    yield "bytes", lambda: DATA
    yield "bytearray", lambda: bytearray(DATA)
    yield "array", lambda: memoryview(DATA).cast("I")
    yield "pieces", lambda: [DATA[:7], b"", DATA[7:]]
    yield "generator", lambda: iter([DATA[:7], DATA[7:]])
    yield "pipe", lambda: piped(DATA)


def whole(folder):
    (folder / "whole").write_bytes(DATA)
    return folder / "whole"


def at(file, position):
    file.seek(position)
    return file


def piped(data):
    reading, writing = os.pipe()

    def fill():
        with os.fdopen(writing, "wb") as file:
            file.write(data)

    threading.Thread(target=fill, daemon=True).start()
    return os.fdopen(reading, "rb")


KINDS = ["path", "file", "raw file", "file in memory", "bytes", "bytearray", "array", "pieces", "generator", "pipe"]


@pytest.mark.parametrize("kind", KINDS)
def test_sources_of_every_kind_read_the_same(tmp_path, kind):
    make = dict(sources(tmp_path))[kind]
    pieces = list(pieces_of(make(), work()))
    assert b"".join(pieces) == DATA
    assert max(map(len, pieces)) <= CHUNK_BYTES
    with opened(make(), work()) as file:
        assert b"".join(iter(lambda: file.read(1000), b"")) == DATA


@given(st.binary(max_size=200), st.integers(0, 250), st.lists(st.integers(0, 200), max_size=4))
def test_a_file_is_read_from_where_it_stands(data, start, positions):
    inner = io.BytesIO(data)
    inner.seek(start)
    with opened(inner, work()) as file:
        assert file.read() == data[start:]
        for position in positions:
            assert file.seek(position) == file.tell() == position
            assert file.read(3) == data[start:][position : position + 3]
        assert file.seek(0, os.SEEK_END) == len(data) - start
    assert not inner.closed


def failing():
    yield b"some"
    raise KeyError("of the caller")


class FailingFile(io.BytesIO):
    def read(self, size=-1, /):
        if size:
            raise KeyError("of the caller")
        return b""


@pytest.mark.parametrize("source", [failing, FailingFile])
def test_what_a_source_raises_is_kept_and_stops_the_work(source):
    own = work()
    with opened(source(), own) as file, pytest.raises((KeyError, CancelledError)):
        list(iter(lambda: file.read(100), b""))
    assert isinstance(own.failure, KeyError)
    assert own.control.cancelled


@pytest.mark.parametrize("source", [["text"], io.StringIO("text"), [1], None, 5])
def test_what_gives_no_bytes_is_a_type_error(source):
    with pytest.raises(TypeError):
        list(pieces_of(source, work()))
    own = work()
    with opened(source, own) as file, pytest.raises(CancelledError):
        file.read(1)
    assert isinstance(own.failure, TypeError)
