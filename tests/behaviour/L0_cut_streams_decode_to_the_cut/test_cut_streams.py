"""A stream that is cut off or damaged decodes up to its last whole segment, and the user is told."""

import io
import json
import subprocess

import pytest
from servers import CMVC
from streams import stream

from cmvc.bitstream.stream import StreamReader

WHOLE = stream(segments=4)
PLACED = list(StreamReader(io.BytesIO(WHOLE)).segments())


def decode(tmp_path, data):
    source, out = tmp_path / "in.cmvc", tmp_path / "out.y4m"
    source.write_bytes(data)
    result = subprocess.run([*CMVC, "decode", source, out], capture_output=True, text=True, check=False)
    return result, out


def frames_in(path):
    return path.read_bytes().count(b"FRAME\n")


@pytest.mark.parametrize("missing", [1, 3000])
def test_a_stream_without_its_end_decodes_to_its_last_whole_segment(tmp_path, missing):
    end = PLACED[2].offset + PLACED[2].size
    result, out = decode(tmp_path, WHOLE[: end + PLACED[3].size - min(missing, PLACED[3].size - 1)])
    assert result.returncode == 0, result.stderr
    assert frames_in(out) == 3 * 24
    warning = [line for line in result.stderr.splitlines() if line.startswith("warning: TRUNCATED")]
    assert len(warning) == 1, result.stderr
    assert "byte" in warning[0]


def test_a_damaged_segment_ends_the_video_before_it(tmp_path):
    data = bytearray(WHOLE)
    data[PLACED[2].offset + 40] ^= 0x55
    result, out = decode(tmp_path, bytes(data))
    assert result.returncode == 0, result.stderr
    assert frames_in(out) == 2 * 24
    assert f"warning: CORRUPT: a packet's checksum does not hold (at byte {PLACED[2].offset})" in result.stderr


def test_nothing_whole_is_an_error_with_the_offset(tmp_path):
    result, out = decode(tmp_path, WHOLE[: PLACED[0].offset + 10])
    assert result.returncode == 1
    assert result.stderr.startswith("error: TRUNCATED: ")
    assert f"at byte {PLACED[0].offset + 10}" in result.stderr
    assert not out.exists()


def test_inspect_counts_what_is_whole(tmp_path):
    (tmp_path / "in.cmvc").write_bytes(WHOLE[: PLACED[3].offset + 5])
    result = subprocess.run(
        [*CMVC, "inspect", tmp_path / "in.cmvc", "--json"], capture_output=True, text=True, check=True
    )
    told = json.loads(result.stdout)
    assert len(told["segments"]) == 3
    assert told["notes"][0].startswith("TRUNCATED")
