"""What strangers wrote into streams and file names neither acts on a terminal nor passes for a line of ours."""

import json
import os
import pty
import subprocess

import pytest
from servers import CMVC
from streams import stream

from cmvc.bitstream.stream import StreamWriter
from cmvc.bitstream.text import encode_text
from cmvc.v1 import bitstream_pb2 as pb

TITLE = "\x1b]0;owned\x07"
FORGED = "root# forged"
HOSTILE = f"[red]x{TITLE}\x1b[2J\r\n{FORGED}\u202e\x7f"
LANGUAGE = "e\x1b[2J\u202e"
SHOWN = r"[red]x\x1b]0;owned\x07\x1b[2J root# forged\u202e\x7f"


@pytest.fixture
def folder(tmp_path):
    header = pb.StreamHeader(width=64, height=64, frame_rate_numerator=24, segment_frames=12)
    header.metadata.title, header.metadata.language = HOSTILE, LANGUAGE
    header.metadata.chapters.add().title = HOSTILE
    profiles = [pb.Profile(id="embedded", revision=HOSTILE, settings={HOSTILE: HOSTILE}), pb.Profile(id=HOSTILE)]
    writer = StreamWriter(header, pb.ProfileTable(profiles=profiles))
    segment = pb.Segment(closing_frames=12, text=encode_text(f"Blue sky.{HOSTILE}"))
    (tmp_path / "in.cmvc").write_bytes(writer.open() + writer.write(segment) + writer.close())
    return tmp_path


def at_a_terminal(folder, *arguments, term="dumb"):
    """Return what a command writes to a terminal, both of its outputs; a dumb one gets no sequences of ours."""
    here, there = pty.openpty()
    environment, command = {**os.environ, "TERM": term}, [*CMVC, *arguments]
    with subprocess.Popen(command, cwd=folder, stdout=there, stderr=there, env=environment) as process:
        os.close(there)
        shown = b"".join(iter(lambda: read(here), b""))
    os.close(here)
    assert process.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


def read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # how Linux says that the other side has closed
        return b""


def check_plain(shown):
    for line in shown.splitlines():
        assert line.isprintable(), line
        assert not line.strip().startswith(FORGED), line


def test_tables_show_what_is_in_a_stream_escaped(folder):
    shown = at_a_terminal(folder, "inspect", "in.cmvc")
    check_plain(shown)
    assert f"profiles: embedded, {SHOWN}\n" in shown
    assert "Blue sky.[red]x" in shown


def test_json_is_ascii_and_says_the_same(folder):
    shown = at_a_terminal(folder, "inspect", "--json", "in.cmvc")
    check_plain(shown)
    assert shown.isascii()
    found = json.loads(shown)
    assert found["profiles"][0]["settings"] == {HOSTILE: HOSTILE}
    assert found["profiles"][1]["id"] == found["header"]["metadata"]["title"] == HOSTILE
    assert found["header"]["metadata"]["language"] == LANGUAGE


def test_names_of_files_are_escaped_in_tables(folder):
    (folder / "many").mkdir()
    (folder / "many" / f"{HOSTILE}.cmvc").write_bytes(stream(segments=1))
    shown = at_a_terminal(folder, "decode", "many", "-o", "out", "--format", "y4m")
    check_plain(shown)
    assert f"{SHOWN}.cmvc (1/1): done\n" in shown
    assert "\n" + SHOWN + ".…" in shown  # as wide as the terminal
    assert (folder / "out" / f"{HOSTILE}.y4m").exists()


def test_names_of_files_are_escaped_in_bars(folder):
    (folder / f"{HOSTILE}.cmvc").write_bytes(stream(segments=8))
    shown = at_a_terminal(folder, "decode", f"{HOSTILE}.cmvc", "-o", "out", "--format", "y4m", term="xterm")
    assert "decoding [red]x" in shown
    assert not any(each in shown for each in (TITLE, "\u202e", "\x7f"))
