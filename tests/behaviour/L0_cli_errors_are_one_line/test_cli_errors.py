"""Whatever goes wrong, a user of the command line gets one line that says what and what to do."""

import re
import subprocess

import pytest
from servers import CMVC
from streams import stream

ERROR = re.compile(r"error: [A-Z_0-9]+: [^\n]+\n")
NOBODY = "127.0.0.1:9"  # discard; nothing listens there


@pytest.fixture
def files(tmp_path):
    (tmp_path / "text.txt").write_text("this is no video\n" * 100)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    whole = stream(segments=2)
    (tmp_path / "good.cmvc").write_bytes(whole)
    (tmp_path / "alien.cmvc").write_bytes(stream(segments=1, profile="nobody-has-this"))
    (tmp_path / "head.cmvc").write_bytes(whole[:60])
    (tmp_path / "newer.cmvc").write_bytes(whole[:4] + b"\x63" + whole[5:])
    return tmp_path


def run(folder, *arguments):
    return subprocess.run([*CMVC, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("encode", "missing.mp4", "out.cmvc"), "NOT_FOUND"),
        (("encode", "text.txt", "out.cmvc"), "UNREADABLE_MEDIA"),
        (("encode", "folder", "out.cmvc"), "IO_ERROR"),
        (("encode", "text.txt", "out.cmvc", "--target", NOBODY), "BACKEND_UNAVAILABLE"),
        (("decode", "missing.cmvc", "out.mp4"), "NOT_FOUND"),
        (("decode", "text.txt", "out.mp4"), "NOT_CMVC"),
        (("decode", "empty", "out.mp4"), "NOT_CMVC"),
        (("decode", "head.cmvc", "out.mp4"), "TRUNCATED"),
        (("decode", "newer.cmvc", "out.mp4"), "UNSUPPORTED_VERSION"),
        (("decode", "alien.cmvc", "out.mp4"), "UNKNOWN_PROFILE"),
        (("decode", "good.cmvc", "out.mp4", "--profile", "none"), "UNKNOWN_PROFILE"),
        (("decode", "good.cmvc", "nowhere/out.mp4"), "NOT_FOUND"),
        (("decode", "good.cmvc", "out.mp4", "--deadline", "0.000001"), "DEADLINE_EXCEEDED"),
        (("decode", "good.cmvc", "out.mp4", "--tls-ca", "missing.pem", "--target", NOBODY), "NOT_FOUND"),
        (("inspect", "text.txt"), "NOT_CMVC"),
        (("serve", "decoder", "--listen", "nonsense"), "INVALID_SETTING"),
        (("serve", "gateway", "--decoder", NOBODY, "--metrics-listen", "192.0.2.1:0"), "CANNOT_LISTEN"),
    ],
)
def test_failure_is_one_line_and_exit_1(files, arguments, reason):
    done = run(files, *arguments)
    assert ERROR.fullmatch(done.stderr), done.stderr
    assert done.stderr.startswith(f"error: {reason}: ")
    assert done.returncode == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "only-one-argument"),
        ("encode", "a", "b", "--mode", "magic"),
        ("encode", "a", "b", "--bitrate", "fast"),
        ("encode", "a", "b", "--bitrate", "8k", "--quality", "50"),
        ("encode", "a", "b", "--quality", "101"),
        ("encode", "a", "b", "--audio", "opus"),
        ("decode", "a", "b", "--format", "avi"),
        ("serve", "gateway"),
        ("serve", "gateway", "--decoder", "10.0.0.1:1", "--backend-token-file", "token"),
        ("serve", "gateway", "--decoder", "127.0.0.1:1", "--backend-cert", "c", "--backend-key", "k"),
        ("serve", "gateway", "--decoder", "127.0.0.1:1", "--backend-ca", "a", "--backend-cert", "c"),
        ("no-such-command",),
    ],
)
def test_wrong_usage_is_exit_2(files, arguments):
    done = run(files, *arguments)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_cut_off_stream_is_a_warning_and_keeps_what_is_whole(files):
    whole = (files / "good.cmvc").read_bytes()
    (files / "cut.cmvc").write_bytes(whole[:-60])
    done = run(files, "decode", "cut.cmvc", "out.y4m")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: TRUNCATED: ")
    assert (files / "out.y4m").read_bytes().count(b"FRAME") == 24


def test_defect_is_one_line_too(files):
    broken = "import cmvc.cli, cmvc.client.blocking; del cmvc.client.blocking.inspect; cmvc.cli.main()"
    command = [CMVC[0], "-c", broken, "inspect", "good.cmvc"]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, check=False)
    assert ERROR.fullmatch(done.stderr), done.stderr
    assert done.stderr.startswith("error: INTERNAL: NameError")
    assert done.returncode == 1
