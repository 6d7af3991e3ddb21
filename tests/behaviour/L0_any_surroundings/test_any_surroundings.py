"""Commands and servers do their work, or say in one line why not, wherever they are started."""

import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import threading
from functools import partial

import grpc
import pytest
from media_files import moving_frames, write_video
from servers import CMVC, PATIENCE_S, servers, until
from streams import stream as stream_of

from cmvc.client import Client
from cmvc.errors import AddressError, AddressInUseError, BackendUnavailableError, InvalidSettingError
from cmvc.files import whole_file
from cmvc.server.listening import listen
from cmvc_decoder.weights.store import ModelStore

DEADLINE = b"error: DEADLINE_EXCEEDED: the deadline passed; allow more time or send less video\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "good.cmvc").write_bytes(stream_of(segments=1))
    return tmp_path


def run(folder, *arguments, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "timeout": PATIENCE_S, **options}
    return subprocess.run([*CMVC, *arguments], cwd=folder, stderr=subprocess.PIPE, check=False, **options)


def shell(folder, line):
    """Run a line of sh in which $cmvc is the command."""
    command = ["bash", "-c", line.replace("$cmvc", " ".join(CMVC))]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE_S, check=False)


def one_line(done, code, *words):
    text = done.stderr.decode()
    assert done.returncode == code, text
    assert text.count("\n") == 1, text
    assert all(word in text for word in words), text


# --- standard streams ----------------------------------------------------------------------------------------------


def test_closed_standard_streams_are_told_of(folder):
    for line, stream in (("decode good.cmvc - --format y4m >&-", "output"), ("encode - out.cmvc <&-", "input")):
        one_line(shell(folder, f"$cmvc {line}"), 1, f"error: IO_ERROR: standard {stream} is closed; open it")


def test_files_go_where_they_should_with_all_streams_closed(folder):
    assert shell(folder, "$cmvc decode good.cmvc shut.y4m <&- >&- 2>&-").returncode == 0
    assert shell(folder, "$cmvc decode good.cmvc open.y4m").returncode == 0
    assert (folder / "shut.y4m").read_bytes() == (folder / "open.y4m").read_bytes()


@pytest.mark.parametrize("command", ["decode good.cmvc - --format y4m", "inspect good.cmvc"])
def test_full_standard_output_is_one_line(folder, command):
    one_line(shell(folder, f"$cmvc {command} > /dev/full"), 1, "error: IO_ERROR: No space left on device")


def test_reader_that_leaves_is_one_line(folder):
    (folder / "good.cmvc").write_bytes(stream_of(segments=8))
    done = shell(folder, "$cmvc decode good.cmvc - --format y4m | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}")
    one_line(done, 1, "error: BROKEN_PIPE")


@pytest.mark.parametrize("target", [False, True])
def test_command_ends_while_its_standard_input_is_held_open(folder, target):
    with servers() as start:
        where = ("--target", start("decoder").address) if target else ()
        command = [*CMVC, "decode", "-", "out.y4m", "--deadline", "5", *where]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write((folder / "good.cmvc").read_bytes())
        process.stdin.flush()
        code = process.wait(PATIENCE_S)
        said = process.stderr.read()
        process.stdin.close()
    assert (code, said) in ((0, b"out.y4m: 24 frames in 1 segments\n"), (1, DEADLINE)), said


def test_nobody_reading_standard_error_changes_nothing(folder):
    done = shell(folder, "$cmvc decode good.cmvc out.y4m 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}")
    assert done.returncode == 0
    assert (folder / "out.y4m").exists()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_standard_output_in_another_encoding(folder, encoding):
    done = run(folder, "inspect", "good.cmvc", env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"coded" in done.stdout


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["n" * 250, "\N{GREEK SMALL LETTER OMEGA}" * 125, "a\udcff" * 100])
def test_long_names(tmp_path, name):
    with whole_file(tmp_path / name) as file:
        file.write(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_odd_names_stay_on_one_line(folder):
    (folder / "good.cmvc").rename(folder / "a\nb\x1b[31m.cmvc")
    one_line(run(folder, "decode", "a\nb\x1b[31m.cmvc", "c\nd\x1b[2J.y4m"), 0, "c d\\x1b[2J.y4m: 24 frames")
    one_line(run(folder, "decode", "x\ny\x1b[31m.cmvc", "out.y4m"), 1, "error: NOT_FOUND", "x y\\x1b[31m.cmvc")


# --- variables, folders, limits ------------------------------------------------------------------------------------


def test_no_home(monkeypatch):
    def nobody(_):
        raise KeyError("no such user")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert ModelStore().manifest("wan-vace-1.3b", "transformer") is None


def index_last():
    """Return an MP4 that cannot be read from a pipe without a temporary file."""
    return write_video(moving_frames(6), container="mp4", codec="libx264")


@pytest.mark.parametrize("name", ["with:colon", "with space 'and' [quotes];,=%", "missing"])
def test_odd_temporary_folders(folder, name):
    if name != "missing":
        (folder / name).mkdir()
    env = {**os.environ, "TMPDIR": str(folder / name)}
    done = run(folder, "encode", "-", "out.cmvc", stdin=None, input=index_last(), env=env)
    assert done.returncode == 0, done.stderr
    assert (folder / "out.cmvc").exists()


def test_no_room_for_a_temporary_file_is_one_line(folder):
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (16, 16))  # bytes that a file may have
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # or modules are left cut off, for whoever comes after
    done = run(folder, "encode", "-", "-", stdin=None, input=index_last(), preexec_fn=limit, env=env)
    one_line(done, 1, "error: ", "File too large")


def test_no_room_at_a_server_is_told_of(folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with servers() as start:
        # First without: modules that are compiled in such room are left cut off, for whoever comes after.
        run(folder, "encode", "-", "-", "--target", start("encoder").address, stdin=None, input=index_last())
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))  # inherited
        try:
            server = start("encoder")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        done = run(folder, "encode", "-", "-", "--target", server.address, stdin=None, input=index_last())
    one_line(done, 1, "error: SERVER_FAILED: the server cannot go on: File too large")


def test_metrics_folder_of_another_program(folder):
    env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": "/nowhere"}
    done = run(folder, "serve", "decoder", "--listen", "nonsense", env=env)
    one_line(done, 1, "error: INVALID_SETTING: 'nonsense' is not HOST:PORT")


# --- signals -------------------------------------------------------------------------------------------------------


def test_hang_up_ends_a_command_and_leaves_nothing(tmp_path):
    (tmp_path / "long.cmvc").write_bytes(stream_of(segments=4000))
    command = [*CMVC, "decode", "long.cmvc", "out.y4m"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    until(lambda: any(path.stat().st_size for path in tmp_path.glob(".out*")), "some output is there")
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=PATIENCE_S)[1] == b""
    assert process.returncode == 129
    assert [path.name for path in tmp_path.iterdir()] == ["long.cmvc"]


def test_hang_up_ends_a_server_but_not_under_nohup():
    data = stream_of(segments=1)
    with servers() as start:
        server = start("decoder")
        server.send(signal.SIGHUP)
        assert server.process.wait(PATIENCE_S) == 0
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited, as from nohup
        try:
            server = start("decoder")
        finally:
            signal.signal(signal.SIGHUP, before)
        server.send(signal.SIGHUP)
        with Client(server.address) as client:
            assert b"".join(client.decode_stream(data))


# --- addresses and proxies -----------------------------------------------------------------------------------------


def serve_and_decode(address):
    data = stream_of(segments=1)
    with servers() as start:
        server = start("decoder", listen=address)
        with Client(server.address) as client:
            assert b"".join(client.decode_stream(data)) == b"".join(Client().decode_stream(data))
        yield server
        assert server.stop() == 0
    yield server


def test_ipv6_is_printed_as_it_is_given():
    try:
        with socket.socket(socket.AF_INET6) as attempt:
            attempt.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    for server in serve_and_decode("[::1]:0"):
        assert server.address.startswith("[::1]:")


def test_socket_by_its_path(tmp_path):
    address = f"unix:{tmp_path / 'cmvc.sock'}"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "cmvc.sock"))
    for server in serve_and_decode(address):
        assert server.address == address
        if server.process.poll() is None:
            one_line(run(tmp_path, "serve", "decoder", "--listen", address), 1, "error: ADDRESS_IN_USE: ")
    assert not (tmp_path / "cmvc.sock").exists()


async def test_why_nobody_can_listen_is_said(tmp_path):
    (tmp_path / "file").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for address, kind, words in (
            (f"127.0.0.1:{port}", AddressInUseError, "in use"),
            ("192.0.2.1:0", AddressError, "this machine has no such address"),
            ("no-such-host.invalid:0", AddressError, "cannot be resolved"),
            (f"unix:{tmp_path}/file", AddressError, "there is a file of that name"),
            (f"unix:{tmp_path}/no/folder", AddressError, "No such file"),
            ("::1:50051", InvalidSettingError, "is not HOST:PORT"),
        ):
            with pytest.raises(kind, match=words):
                listen(grpc.aio.server(), address, None)


class Proxy:
    """Notes what it is asked for, and does nothing of it."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            connection, _ = self._socket.accept()
            with connection:
                self.asked.append(connection.recv(1000).split(b"\r\n")[0])


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that the environment names for all there is."""
    proxy = Proxy()
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "grpc_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    return proxy


RESTORES = """
import os, sys, time
from cmvc.restoration.restorer import load_restorer
assert "onnxruntime" not in sys.modules
load_restorer("fidelity")
assert "onnxruntime" in sys.modules
print(os.environ["ORT_DISABLE_TELEMETRY"], flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_onnx_runtime_is_told_to_tell_nobody():
    command = [sys.executable, "-c", RESTORES, "0"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.slow
def test_nobody_is_told_of_this_machine(proxy):
    """ONNX Runtime would have told its maker by then."""
    subprocess.run([sys.executable, "-c", RESTORES, "20"], check=True)
    assert proxy.asked == []


def test_proxies_are_for_what_is_far(proxy):
    data = stream_of(segments=1)
    with servers() as start:
        server = start("all")  # its gateway reaches its children, and its client reaches it
        with Client(server.address) as client:
            assert b"".join(client.decode_stream(data))
    assert proxy.asked == []
    with Client("cmvc.example.com:50051") as client, pytest.raises(BackendUnavailableError):
        list(client.decode_stream(data))
    assert proxy.asked[0].startswith(b"CONNECT cmvc.example.com:50051")
