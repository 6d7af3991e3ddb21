"""The contract against the last release: buf says what would break a client in the world, here as in ``make lint``."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).parent / "buf"


def breaking(proto):
    (*_, last) = sorted((ROOT / "proto/released").iterdir(), key=lambda path: [*map(int, path.stem.split("."))])
    command = [BUF, "breaking", "--against", last]
    return subprocess.run(command, cwd=proto, capture_output=True, text=True, check=False)


def test_clients_of_the_last_release_are_understood():
    done = breaking(ROOT / "proto")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("file", "was", "becomes"),
    [
        ("encoder.proto", "uint32 seed = 7;", "string seed = 7;"),
        ("encoder.proto", "  uint32 seed = 7;", ""),
        ("common.proto", "MODE_CODED = 4;", "MODE_CODED = 5;"),
        ("decoder.proto", "stream DecodeSegmentResponse)", "DecodeSegmentResponse)"),
    ],
)
def test_a_change_that_breaks_them_is_told(tmp_path, file, was, becomes):
    proto = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", proto)
    changed = proto / "cmvc/v1" / file
    text = changed.read_text()
    assert text.count(was) == 1
    changed.write_text(text.replace(was, becomes))
    assert file in breaking(proto).stdout
