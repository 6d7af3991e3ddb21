"""``make bench-speed``: how fast, how soon, and what the gateway costs.

Every mode encodes and decodes a clip of 30 s at 854x480 and 24 frames/s, in pairs: once in this process, once through
a gateway with one encoder and one decoder, all of them warm, which of the two goes first taking turns. A further run
decodes with two decoders. ``--memory`` instead sends 30 minutes at 320x180 through and watches every process.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from benchmarks.clips import joined, own_clip, shared_clips
from benchmarks.report import markdown, save
from cmvc.client import Client
from cmvc.settings import encode_config
from examples.demo.servers import Servers

RATES = {"coded": 24_000, "vt2v": 12_000, "it2v": 8_000, "tt2v": 1_000, "auto": 12_000}
"""Bits per second in each mode."""


@dataclass(frozen=True)
class Run:
    """One piece of work: wall-clock seconds, CPU-seconds of all processes, seconds to the first frame."""

    wall: float
    cpu: float
    first: float


class Route:
    """One way to get work done: in this process or through a gateway."""

    def __init__(self, servers: Servers | None, effort: str) -> None:
        self._effort = effort
        self.client = Client(servers.target) if servers else Client()
        self._processes = [psutil.Process()]
        if servers:
            self._processes += [psutil.Process(pid) for pid in servers.processes().values()]

    def encode(self, source: Path, stream: Path, mode: str) -> Run:
        """Encode and time it."""
        config = encode_config(mode=mode, bitrate=RATES[mode], effort=self._effort)
        return self._timed(self.client.encode_stream(source, config), stream, b"")

    def decode(self, stream: Path, video: Path) -> Run:
        """Decode to MP4 and time it; the first frame is there with the first media data."""
        return self._timed(self.client.decode_stream(stream), video, b"mdat")

    def _timed(self, transfer: Iterable[bytes], destination: Path, mark: bytes) -> Run:
        cpu, began = self._cpu(), time.perf_counter()
        first, head = 0.0, b""
        with destination.open("wb") as file:
            for data in transfer:
                file.write(data)
                if not first:
                    head += data
                    first = time.perf_counter() - began if mark in head else 0.0
        return Run(time.perf_counter() - began, self._cpu() - cpu, first)

    def _cpu(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self._processes)


def measure(clip: Path, options: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Return one row per mode and direction."""
    rows = []
    with Servers(folder / "one", decoders=1) as one, Servers(folder / "two", decoders=2) as two:
        local, remote, spread = (Route(servers, options.effort) for servers in (None, one, two))
        warm = joined([own_clip()], "warm", seconds=2, width=854, height=480, rate=24)
        for mode in options.mode or RATES:
            stream, video = folder / f"{mode}.cmvc", folder / "out.mp4"
            works: dict[str, Callable[[Route], Run]] = {
                "encode": partial(Route.encode, source=clip, stream=stream, mode=mode),
                "decode": partial(Route.decode, stream=stream, video=video),
            }
            for route in (local, remote, spread):
                route.encode(warm, folder / "warm.cmvc", mode)
                route.decode(folder / "warm.cmvc", video)
            for name, work in works.items():
                found = _pairs(work, local, remote, options.pairs, f"{mode} {name}")
                more = work(spread) if name == "decode" else None
                rows.append(_row(mode, name, options.seconds, found, more))
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _pairs(work: Callable[[Route], Run], local: Route, remote: Route, pairs: int, what: str) -> list[tuple[Run, Run]]:
    """Return (in process, through the gateway) so many times, the order taking turns."""
    found = []
    for number in range(pairs):
        runs = {route: work(route) for route in ((local, remote) if number % 2 == 0 else (remote, local))}
        found.append((runs[local], runs[remote]))
        print(
            f"{what}: pair {number + 1} of {pairs}: {runs[local].wall:.1f} s, {runs[remote].wall:.1f} s",
            file=sys.stderr,
        )
    return found


def _row(mode: str, work: str, seconds: float, found: list[tuple[Run, Run]], spread: Run | None) -> dict[str, object]:
    """Put the medians of one piece of work together."""
    local, remote = [pair[0] for pair in found], [pair[1] for pair in found]
    decoding = work == "decode"
    return {
        "mode": mode,
        "work": work,
        "in_process_x": round(seconds / median(run.wall for run in local), 2),
        "gateway_x": round(seconds / median(run.wall for run in remote), 2),
        "wall_ratio": round(median(b.wall / a.wall for a, b in found), 3),
        "in_process_cpu_s": round(median(run.cpu for run in local), 1),
        "gateway_cpu_s": round(median(run.cpu for run in remote), 1),
        "first_frame_s": round(median(run.first for run in remote), 2) if decoding else "",
        "two_decoders_x": round(seconds / spread.wall, 2) if spread else "",
    }


def watch_memory(minutes: float, mode: str, folder: Path) -> list[dict[str, object]]:
    """Send a long video through and return the largest resident size of each process, in MiB."""
    clip = joined(_sources(), "long", seconds=60 * minutes, width=320, height=180, rate=24)
    largest: dict[str, float] = {}
    done = threading.Event()
    with Servers(folder / "logs") as servers, Client(servers.target) as client:
        watched = {"client": psutil.Process()} | {n: psutil.Process(p) for n, p in servers.processes().items()}

        def watch() -> None:
            while not done.wait(0.5):
                for name, process in watched.items():
                    largest[name] = max(largest.get(name, 0), process.memory_info().rss / 2**20)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for work in ("encode", "decode"):
                began = time.perf_counter()
                if work == "encode":
                    client.encode(clip, folder / "long.cmvc", encode_config(mode=mode, bitrate=RATES[mode]))
                else:
                    client.decode(folder / "long.cmvc", folder / "long.mp4")
                print(f"{work}: {60 * minutes / (time.perf_counter() - began):.2f}x", file=sys.stderr)
        finally:
            done.set()
            thread.join()
    return [{"process": name, "largest_rss_mib": round(size)} for name, size in largest.items()]


def _sources() -> list[Path]:
    return [own_clip(), *(clip for clip in shared_clips() if "davis" in clip.name or "juggle" in clip.name)]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed")
    parser.add_argument("--mode", action="append", choices=list(RATES), help="repeatable; all by default")
    parser.add_argument("--effort", choices=["fast", "default", "best"], default="default")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="watch memory over --minutes instead")
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cmvc-speed-") as folder:
        if options.memory:
            mode = (options.mode or ["auto"])[0]
            rows = watch_memory(options.minutes, mode, Path(folder))
            title = f"{options.minutes:g} minutes of 320x180 at 24 frames/s, {mode}.\n\n"
            name = "memory"
        else:
            clip = joined(_sources(), "speed", seconds=options.seconds, width=854, height=480, rate=24)
            rows = measure(clip, options, Path(folder))
            title = (
                f"{options.seconds:g} s of 854x480 at 24 frames/s, effort {options.effort}, medians of {options.pairs} "
                "interleaved pairs.\n\n"
            )
            name = "speed" if options.effort == "default" else f"speed-{options.effort}"
    columns = list(rows[0])
    save(name, title + markdown(columns, [list(row.values()) for row in rows]), {"rows": rows})


if __name__ == "__main__":
    main()
