"""FFmpeg's own reading of AV1 headers: its ``trace_headers`` filter, an independent parser to compare with."""

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg

from cmvc.bitstream.av1pack.kinds import FLAG, Kind, Subexp
from cmvc.bitstream.av1pack.reading import Reading, obus
from cmvc.bitstream.av1pack.stream import Stream

_LINE = re.compile(r"\] (\d+) +(\S+) +[01]* = (-?\d+)$")
_FRAMING = re.compile("obu_|trailing_|zero_bit|subexp_")
Element = tuple[str, int]


def traced(path: Path) -> list[list[Element]]:
    """Return the elements behind the header of each OBU of a low-overhead stream: their names and values."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-v", "info", "-i", str(path), "-c", "copy"]
    command += ["-bsf:v", "trace_headers", "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.split("Stream mapping")[1].splitlines()  # before it, the extradata
    found: list[list[Element]] = []
    for line in lines:
        if line.endswith("OBU header"):
            found.append([])
        elif (match := _LINE.search(line)) and not _FRAMING.match(match[2]):
            found[-1].append((match[2], int(match[3])))
    return found


def walked(data: bytes) -> list[list[Element]]:
    """Return the same as ``traced`` by this project's parser."""
    stream, reading = Stream(), _Noting(data)
    found = []
    for obu in obus(data):
        reading.elements = []
        reading.payload(stream, obu)
        found.append(reading.elements)
    return found


class _Noting(Reading):
    """Takes note of each element."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.elements: list[Element] = []

    def code(self, name: str, kind: Kind, *at: int) -> int:
        """Read an element."""
        value = super().code(name, kind, *at)
        shown = kind.distance(value) if isinstance(kind, Subexp) else value  # FFmpeg knows no references here
        self.elements.append((_name(name) + "".join(f"[{part}]" for part in at), shown))
        return value

    def flag(self, name: str, *at: int) -> int:
        """Read an element of one bit."""
        return self.code(name, FLAG, *at)


def _name(name: str) -> str:
    """Return FFmpeg's name."""
    return f"{name}.delta_q" if name.startswith("delta_q_") and name.endswith("c") else name
