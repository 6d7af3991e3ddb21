"""The same call does the same in this process and through a gateway, blocking and in an event loop."""

import asyncio
import io
import os
import subprocess
import sys
import threading
from contextlib import aclosing, contextmanager

import pytest
from click.testing import CliRunner
from media_files import moving_frames, write_video
from servers import PATIENCE_S, servers, until
from streams import stream

from cmvc import process
from cmvc.bitstream.stream import StreamWriter
from cmvc.cli import cli
from cmvc.client import AsyncClient, Client
from cmvc.control import Control
from cmvc.errors import (
    CancelledError,
    ClosedError,
    CmvcError,
    CorruptStreamError,
    DeadlineError,
    MediaError,
    NotCmvcError,
    UnknownExtractorError,
    UnknownProfileError,
)
from cmvc.settings import decode_config, encode_config
from cmvc.v1 import bitstream_pb2 as pb

CONFIG = encode_config(mode="coded", bitrate="40k")
PATHS = ["blocking here", "blocking there", "async here", "async there"]


@pytest.fixture(scope="module")
def server():
    process.prepare()  # for the streams that the tests themselves write
    with servers() as start:
        yield start("all")


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(12))


@pytest.fixture(scope="module")
def expected(video):
    return b"".join(Client().encode_stream(video, CONFIG))


class Path:
    """One of the four ways that a call may go."""

    def __init__(self, name, server):
        self.is_async = name.startswith("async")
        self.target = server.address if name.endswith("there") else None

    def encode(self, source, config=CONFIG, **options):
        return self._whole("encode_stream", source, config, options)

    def decode(self, source, config=None, **options):
        return self._whole("decode_stream", source, config, options)

    def _whole(self, method, source, config, options):
        if not self.is_async:
            with Client(self.target) as client:
                return b"".join(getattr(client, method)(source, config, **options))

        async def whole():
            async with AsyncClient(self.target) as client:
                return b"".join([data async for data in getattr(client, method)(source, config, **options)])

        return asyncio.run(whole())

    def begin_and_leave(self, source):
        """Take the first bytes and break off the loop; hold nothing of it."""
        if not self.is_async:
            with Client(self.target) as client:
                for _ in client.decode_stream(source, decode_config(output="y4m")):
                    break
                return

        async def leave():
            async with AsyncClient(self.target) as client:
                async for _ in client.decode_stream(source, decode_config(output="y4m")):
                    break
                await asyncio.to_thread(self.left.wait, PATIENCE_S)

        asyncio.run(leave())


@pytest.fixture(params=PATHS)
def path(request, server):
    return Path(request.param, server)


def each_path_with(*kinds, in_loops):
    """Run a test with every path and kind of source, and the kind that only event loops can read in those."""
    pairs = [(path, kind) for path in PATHS for kind in kinds]
    pairs += [(path, in_loops) for path in PATHS if path.startswith("async")]
    return pytest.mark.parametrize(("path", "kind"), pairs, indirect=["path"])


@pytest.fixture(autouse=True)
def says_and_leaves_nothing(capfd):
    before = set(threading.enumerate())
    yield
    left = lambda: [each for each in set(threading.enumerate()) - before if each.name.startswith("cmvc-")]  # noqa: E731
    until(lambda: not left(), "the threads of the calls have ended")
    assert capfd.readouterr() == ("", "")


# --- what may be given ---------------------------------------------------------------------------------------------


@contextmanager
def named(data, folder):
    (folder / "video").write_bytes(data)
    yield str(folder / "video")


@contextmanager
def by_path_object(data, folder):
    (folder / "video").write_bytes(data)
    yield folder / "video"


def fill(open_end, data):
    def run():
        with open_end() as file:
            file.write(data)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@contextmanager
def fifo(data, folder):
    os.mkfifo(folder / "fifo")
    writer = fill(lambda: (folder / "fifo").open("wb"), data)
    yield folder / "fifo"
    writer.join()


@contextmanager
def descriptor(data, folder):
    """As bash's process substitution gives it."""
    reading, writing = os.pipe()
    writer = fill(lambda: os.fdopen(writing, "wb"), data)
    yield f"/dev/fd/{reading}"
    writer.join()
    os.close(reading)


@contextmanager
def pipe(data, folder):
    reading, writing = os.pipe()
    writer = fill(lambda: os.fdopen(writing, "wb"), data)
    with os.fdopen(reading, "rb") as file:
        yield file
    writer.join()


@contextmanager
def file_not_at_its_start(data, folder):
    (folder / "video").write_bytes(b"something else" + data)
    with (folder / "video").open("rb") as file:
        file.seek(14)
        yield file
        assert not file.closed


@contextmanager
def memory_not_at_its_start(data, folder):
    file = io.BytesIO(b"something else" + data)
    file.seek(14)
    yield file


@contextmanager
def whole_bytes(data, folder):
    yield data


@contextmanager
def pieces(data, folder):
    yield [data[:100], b"", bytearray(data[100:])]


@contextmanager
def generator(data, folder):
    yield (data[start : start + 1000] for start in range(0, len(data), 1000))


SOURCES = [
    named, by_path_object, fifo, descriptor, pipe, file_not_at_its_start, memory_not_at_its_start, whole_bytes, pieces,
    generator,
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES, ids=lambda each: each.__name__)
def test_every_source_gives_the_same_stream(path, source, video, expected, tmp_path):
    with source(video, tmp_path) as given:
        assert path.encode(given) == expected


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("mpegts", "libx264"), ("avi", "mpeg4")])
def test_a_file_gives_the_same_stream_whoever_reads_it(path, container, codec, tmp_path):
    (tmp_path / "video").write_bytes(write_video(moving_frames(12), container=container, codec=codec))
    assert path.encode(tmp_path / "video") == b"".join(Client().encode_stream(str(tmp_path / "video"), CONFIG))


@pytest.mark.parametrize("source", [named, pipe, file_not_at_its_start, whole_bytes, generator])
def test_every_source_gives_the_same_video(path, source, tmp_path):
    data = stream(segments=2)
    with source(data, tmp_path) as given:
        assert path.decode(given) == b"".join(Client().decode_stream([data]))


@pytest.mark.parametrize("target", [False, True])
def test_async_source_gives_the_same_stream(server, target, video, expected):
    async def parts():
        for start in range(0, len(video), 1000):
            yield video[start : start + 1000]

    assert Path(f"async {'there' if target else 'here'}", server).encode(parts()) == expected


# --- whose error it is ---------------------------------------------------------------------------------------------


class ReadError(Exception):
    """Of some library of the caller's."""


FAILURES = [
    ReadError("peer closed connection"), OSError(5, "the disk is gone"), EOFError("too short"), KeyError("missing"),
    CorruptStreamError("of a stream that the source reads itself"), CancelledError("of the source's own work"),
    DeadlineError("likewise"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError("in a thread"),
]  # fmt: skip


def failing(error, data):
    yield data[:2000]
    raise error


async def failing_async(error, data):
    yield data[:2000]
    raise error


class FailingFile(io.BytesIO):
    def __init__(self, error, data):
        super().__init__(data[:2000])
        self._error = error

    def read(self, size=-1, /):
        if size and self.tell() >= 1000:
            raise self._error
        return super().read(min(size, 1000) if size > 0 else 1000)

    read1 = read


@each_path_with(failing, FailingFile, in_loops=failing_async)
@pytest.mark.parametrize("error", FAILURES, ids=lambda each: type(each).__name__)
def test_error_of_the_source_is_the_callers_as_it_is(path, kind, error, video):
    data, work = (video, path.encode) if isinstance(error, ReadError) else (stream(segments=40), path.decode)
    with pytest.raises(type(error)) as raised:
        work(kind(error, data))
    if not isinstance(error, asyncio.CancelledError):  # of which asyncio makes another
        assert raised.value is error
        assert error.__cause__ is None


MISTAKES = {
    "no such file": (lambda folder: folder / "missing", FileNotFoundError, "No such file"),
    "folder": (lambda folder: folder, IsADirectoryError, "Is a directory"),
    "text": (lambda folder: ["text"], TypeError, "binary mode"),
    "numbers": (lambda folder: [1], TypeError, "bytes are needed"),
    "nothing": (lambda folder: None, TypeError, "NoneType"),
    "file opened as text": (lambda folder: io.StringIO("text"), TypeError, "binary mode"),
    "closed file": (lambda folder: closed_file(), ValueError, "closed file"),
    "empty": (lambda folder: b"", MediaError, "empty"),
    "no video": (lambda folder: b"just text\n" * 1000, MediaError, "not a video|text"),
}


def closed_file():
    file = io.BytesIO(b"data")
    file.close()
    return file


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_the_same_words(path, mistake, tmp_path):
    make, kind, words = MISTAKES[mistake]
    with pytest.raises(kind, match=words) as raised:
        path.encode(make(tmp_path))
    with pytest.raises(kind) as here, Client() as client:
        list(client.encode_stream(make(tmp_path), CONFIG))
    assert type(raised.value) is type(here.value)
    assert str(raised.value) == str(here.value)


def damaged():
    data = bytearray(stream(segments=2))
    data[80] ^= 1  # in the first segment
    return bytes(data)


def with_garbage():
    """Return a stream that is whole, but whose AV1 is none."""
    header = pb.StreamHeader(width=320, height=192, frame_rate_numerator=24, segment_frames=24)
    writer = StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded", revision="1")]))
    segment = pb.Segment(closing_frames=24, video=b"\x12\x00 no such thing")
    return b"".join([writer.open(), writer.write(segment), writer.close()])


STREAMS = {
    "no stream": lambda: b"no stream at all",
    "nothing": lambda: b"",
    "cut in its header": lambda: stream(segments=1)[:20],
    "cut in its first segment": lambda: stream(segments=1)[:70],
    "damaged": damaged,
    "garbage": with_garbage,
}


@pytest.mark.parametrize("trouble", STREAMS)
def test_streams_that_cannot_be_decoded_are_told_in_the_same_words(path, trouble):
    with pytest.raises(CmvcError) as here, Client() as client:
        list(client.decode_stream(STREAMS[trouble]()))
    with pytest.raises(type(here.value)) as raised:
        path.decode(STREAMS[trouble]())
    assert type(raised.value) is type(here.value)
    assert str(raised.value) == str(here.value)


def test_an_answer_before_the_source_has_ended_is_not_lost(path):
    def endless():
        while True:
            yield bytes(200_000)

    with pytest.raises(UnknownExtractorError, match="'unheard-of' is not set up here"):
        path.encode(endless(), encode_config(semantics="unheard-of"))
    with pytest.raises(NotCmvcError):
        path.decode(endless())
    with pytest.raises(UnknownProfileError, match="'unheard-of' is not served here"):
        path.decode(stream(segments=1), decode_config(profile="unheard-of"))


def test_error_of_the_progress_callback_is_the_callers(path, video):
    def show(_):
        raise ReadError("the window is gone")

    with pytest.raises(ReadError, match="the window is gone"):
        path.encode(video, progress=show)


# --- how it ends ---------------------------------------------------------------------------------------------------


class Endless:
    """A stream that never ends; says when its reader has left it."""

    def __init__(self):
        self.left = threading.Event()

    def parts(self):
        try:
            yield stream(segments=40)
            while not self.left.wait(0.01):
                yield b"\0"
        finally:
            self.left.set()

    async def async_parts(self):
        try:
            yield stream(segments=40)
            while True:
                await asyncio.sleep(0.01)
                yield b"\0"
        finally:
            self.left.set()


@each_path_with("parts", in_loops="async_parts")
def test_breaking_off_a_loop_ends_the_work_and_leaves_the_source(path, kind):
    source = Endless()
    path.left = source.left
    path.begin_and_leave(getattr(source, kind)())
    assert source.left.wait(PATIENCE_S)


def test_deadline(path):
    with pytest.raises(DeadlineError, match="the deadline passed; allow more time or send less video"):
        path.decode(Endless().parts(), deadline_s=0.2)
    with pytest.raises(DeadlineError, match="the deadline passed; allow more time or send less video"):
        path.decode(Endless().parts(), deadline_s=0)


def test_deadline_of_a_fifo_that_nobody_writes(path, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DeadlineError):
        path.encode(tmp_path / "fifo", deadline_s=0.2)


def test_cancelling_from_another_thread(path):
    control, other = Control(), Control()
    threading.Timer(0.1, control.cancel).start()
    with pytest.raises(CancelledError, match="cancelled by the caller"):
        path.decode(Endless().parts(), control=control)
    assert path.decode(stream(segments=1), control=other)
    assert not other.cancelled


@pytest.mark.parametrize("what", ["transfer", "client"])
def test_closing_from_another_thread(path, what):
    def close_soon(thing, run):
        threading.Timer(0.1, lambda: run(thing.close)).start()

    async def take():
        loop = asyncio.get_running_loop()
        client = AsyncClient(path.target)
        async with client, client.decode_stream(Endless().parts()) as transfer:
            close_soon(
                {"transfer": transfer, "client": client}[what],
                lambda close: asyncio.run_coroutine_threadsafe(close(), loop),
            )
            async for _ in transfer:
                pass

    def take_blocking():
        client = Client(path.target)
        with client, client.decode_stream(Endless().parts()) as transfer:
            close_soon({"transfer": transfer, "client": client}[what], lambda close: close())
            list(transfer)

    with pytest.raises(CancelledError, match="cancelled by the caller"):
        asyncio.run(take()) if path.is_async else take_blocking()


def test_closed_client_says_so(path):
    words = "this client is closed"
    if path.is_async:

        async def use():
            client = AsyncClient(path.target)
            await client.close()
            await client.encode(b"video", io.BytesIO(), CONFIG)

        with pytest.raises(ClosedError, match=words):
            asyncio.run(use())
    else:
        client = Client(path.target)
        client.close()
        with pytest.raises(ClosedError, match=words):
            client.encode(b"video", io.BytesIO(), CONFIG)


@pytest.mark.parametrize("target", [False, True])
def test_async_client_outlives_event_loops(server, target, video, expected):
    client = AsyncClient(server.address if target else None)  # before there is any

    async def encode():
        async with aclosing(iterated(client.encode_stream(video, CONFIG))) as parts:
            return b"".join([data async for data in parts])

    async def iterated(transfer):
        async with transfer:
            async for data in transfer:
                yield data

    assert asyncio.run(encode()) == expected
    assert asyncio.run(encode()) == expected
    asyncio.run(client.close())


@pytest.mark.parametrize("target", [False, True])
def test_task_that_is_cancelled_ends_the_work(server, target):
    source = Endless()

    async def main():
        async with AsyncClient(server.address if target else None) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.decode(source.async_parts(), io.BytesIO())

    asyncio.run(main())
    assert source.left.wait(PATIENCE_S)


LEFT = """
import asyncio, sys
from cmvc.client import AsyncClient, Client
target = sys.argv[1] if sys.argv[1:] else None
stream = open("long.cmvc", "rb").read()
async def parts():
    yield stream
    await asyncio.sleep(3600)
async def main():
    global client, transfer
    client = AsyncClient(target)
    transfer = client.decode_stream(parts())
    await anext(transfer)
asyncio.run(main())
blocking = Client(target)
left = iter(blocking.decode_stream(stream))
next(left)
"""


@pytest.mark.parametrize("target", [False, True])
def test_program_that_ends_in_the_middle_just_ends(server, target, tmp_path):
    (tmp_path / "long.cmvc").write_bytes(stream(segments=40))
    command = [sys.executable, "-c", LEFT, *([server.address] if target else [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_many_at_once_in_one_event_loop(server):
    data = stream(segments=1)

    async def main():
        async with AsyncClient(server.address) as client:
            outs = [io.BytesIO() for _ in range(40)]
            await asyncio.gather(*(client.decode(data, out) for out in outs))
            return {out.getvalue() for out in outs}

    assert len(asyncio.run(main())) == 1


# --- the command line ----------------------------------------------------------------------------------------------


COMMANDS = [
    "encode missing o.cmvc", "encode . o.cmvc", "encode text o.cmvc", "encode empty o.cmvc",
    "decode missing o.mp4", "decode text o.mp4", "decode empty o.mp4",
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS)
def test_command_ends_the_same(server, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no video\n" * 100)
    (tmp_path / "empty").touch()
    here = CliRunner().invoke(cli, arguments.split())
    there = CliRunner().invoke(cli, [*arguments.split(), "--target", server.address])
    assert (here.exit_code, here.output) == (there.exit_code, there.output)
    assert here.exit_code == 1
    assert here.output.startswith("error: ")
