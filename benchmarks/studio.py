"""``make bench-studio``: how soon the page shows something, a place is free again, and all who watch are served.

First frame: a stream of 30 s at 854x480 is opened in the page, in a real Chromium, which has the server keep it and
decode it live, once nothing else is decoded. The clock runs from the file's choice to the first frame that the browser
has painted (``requestVideoFrameCallback``); page, server, gateway, decoder and browser share the machine's cores.

Place: the caller of an encode leaves in the middle; the clock runs from there to the end of the gateway's call.

Viewers: so many ask at one moment for a stored stream that nobody has watched (see ``benchmarks.viewers``).
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, sync_playwright

from benchmarks.clips import joined, own_clip, shared_clips
from benchmarks.report import markdown, save
from benchmarks.viewers import stalls, watch_all
from cmvc.client import Client
from cmvc.settings import encode_config

SECONDS, WIDTH, HEIGHT, RATE = 30, 854, 480, 24
RATES = {"coded": 24_000, "vt2v": 12_000, "it2v": 8_000, "tt2v": 1_000}
"""Bits per second in each mode."""
PATIENCE_MS = 120_000
_STUDIO = re.compile(r"studio on (\S+)/")
_METRICS = re.compile(r"^metrics on (\S+)", re.MULTILINE)  # the gateway's own
_ENDED = r'^cmvc_requests_total\{code="%s",method="%s"\} (\S+)$'
# Notes when a file is chosen, and when the first frame of a result is painted.
_CLOCK = """
addEventListener('change', (event) => { if (event.target.id === 'file') window.chosen = performance.now(); }, true);
new MutationObserver(() => {
  for (const video of document.querySelectorAll('#stage video')) {
    if (video.timed) continue;
    video.timed = true;
    video.requestVideoFrameCallback((now) => { window.painted ??= now; });
  }
}).observe(document, { childList: true, subtree: true });
"""


@contextmanager
def studio(store: Path) -> Iterator[tuple[str, str]]:
    """Serve everything on loopback, and yield the addresses of the page and of the gateway's metrics."""
    command = [sys.executable, "-m", "cmvc.cli", "serve", "all", "--web", "127.0.0.1:0", "--store", str(store)]
    command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--end-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr
        said = ""
        while not (_STUDIO.search(said) and _METRICS.search(said)):
            said += server.stderr.readline()
        threading.Thread(target=server.stderr.read, daemon=True).start()  # or it would wait with its log
        try:
            yield _STUDIO.findall(said)[0], _METRICS.findall(said)[0]
        finally:
            server.terminate()


def ended(metrics: str, method: str, code: str = ".*") -> float:
    """Return how many of the gateway's calls of a method have ended, with a status that matches ``code``."""
    with urlopen(metrics) as answer:
        return sum(map(float, re.findall(_ENDED % (code, method), answer.read().decode(), re.MULTILINE)))


def until_ended(metrics: str, method: str, count: float, code: str = ".*") -> None:
    """Wait until so many calls have ended."""
    while ended(metrics, method, code) < count:
        time.sleep(0.02)


def first_frame(browser: Browser, url: str, metrics: str, stream: Path) -> float:
    """Return the seconds from the choice of ``stream`` in a page of its own to its first painted frame."""
    before = ended(metrics, "Decode")
    page = browser.new_page()
    page.add_init_script(_CLOCK)
    page.goto(url)
    page.set_input_files("#file", str(stream))
    page.wait_for_function("() => window.painted !== undefined", timeout=PATIENCE_MS)
    took = page.evaluate("window.painted - window.chosen")
    page.close()
    until_ended(metrics, "Decode", before + 1)
    return float(took) / 1000


def place_freed(url: str, metrics: str, clip: Path) -> float:
    """Return the seconds from a caller's leaving an encode to the end of the gateway's call."""
    before = ended(metrics, "Encode", "CANCELLED")
    with urlopen(Request(f"{url}/v1/encode?mode=coded&effort=best", clip.read_bytes())) as lines:
        next(line for line in lines if b'"frames_read"' in line)
    began = time.monotonic()
    until_ended(metrics, "Encode", before + 1, "CANCELLED")
    return time.monotonic() - began


def viewers(url: str, stream: Path, count: int) -> dict[str, Any]:
    """Return how ``count`` viewers of one stream are served that nobody has watched before."""
    with urlopen(Request(f"{url}/v1/streams", stream.read_bytes())) as response:
        response.read()
        here = url + response.headers["Location"]
    seen = watch_all([f"{here}/fragments"] * count)
    stood = [each for arrivals in seen for each in stalls(arrivals)]
    return {
        "viewers": count,
        "stalls": len(stood),
        "longest_stall_s": round(max(stood, default=0.0), 2),
        "first_fragment_s": round(max(arrivals[0].seconds for arrivals in seen), 2),
        "whole_s": round(max(arrivals[-1].seconds for arrivals in seen), 2),
    }


def measure(modes: list[str], rounds: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """Return one row for each mode."""
    clip = joined(shared_clips() or [own_clip()], "studio", seconds=SECONDS, width=WIDTH, height=HEIGHT, rate=RATE)
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # which root cannot have
    rows = []
    with studio(folder / "store") as (url, metrics), sync_playwright() as playwright, Client() as client:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        for mode in modes:
            stream = folder / f"{mode}.cmvc"
            client.encode(clip, stream, encode_config(mode=mode, bitrate=RATES[mode], effort="fast"))
            first_frame(chromium, url, metrics, stream)  # nothing is cold afterwards
            load = os.getloadavg()[0]
            took = [first_frame(chromium, url, metrics, stream) for _ in range(rounds)]
            row = {"mode": mode, "first_frame_s": round(median(took), 2), "slowest_s": round(max(took), 2)}
            row["place_freed_s"] = round(place_freed(url, metrics, clip), 2)
            rows.append({**row, **viewers(url, stream, count), "load_before": round(load, 2)})
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studio")
    parser.add_argument("--modes", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--viewers", type=int, default=20)
    options = parser.parse_args()
    if not shutil.which("chromium"):
        parser.error("there is no chromium; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory(prefix="cmvc-studio-") as folder:
        rows = measure(options.modes, options.rounds, options.viewers, Path(folder))
    names = list(rows[0])
    save("studio", markdown(names, [[row[name] for name in names] for row in rows]), {"rows": rows})


if __name__ == "__main__":
    main()
