"""``make load``: more work than there is room for, on loopback. What is refused comes back, nothing is lost.

A gateway with a decoder and an encoder is given many decodes and encodes at once, each by a client that tries again
after the time that a refusal names. Then a calm tenant decodes alone, and beside one that floods. Written are a table
and a picture of the memory that each process took.
"""

import argparse
import io
import json
import statistics
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import psutil

from benchmarks.clips import joined, own_clip
from benchmarks.report import RESULTS, markdown, save
from cmvc.client import NO_RETRY, Client
from cmvc.errors import CmvcError, OverloadedError
from cmvc.settings import encode_config
from cmvc.wire.security import ChannelSecurity

SAMPLE_SECONDS = 0.25
MOST_SECONDS = 600.0  # that a refused call goes on trying; then it counts as lost
PLACES = 8  # of the gateway, and as many in line
CALM_CALLS = 20
CALM_PAUSE_S = 0.2
FLOODING = 16  # calls of the flooding tenant at a time
TENANTS = ("calm", "flood")
SETTINGS = encode_config(mode="coded", bitrate="40k")


@dataclass(frozen=True)
class Clip:
    """A video, the stream that it gives, and what that decodes to in process."""

    video: Path
    stream: bytes
    decoded: bytes


@dataclass(frozen=True)
class Server:
    """A service in a process of its own: where it listens, and its process's id."""

    address: str
    pid: int


@contextmanager
def served(*arguments: str) -> Iterator[Server]:
    """Yield a server on loopback; it ends with the block."""
    command = [sys.executable, "-m", "cmvc.cli", "serve", *arguments, "--listen", "127.0.0.1:0", "--end-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            listening = next(line for line in process.stderr if line.startswith("listening on "))
            threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()  # or it would stand still
            yield Server(listening.split()[-1], process.pid)
        finally:
            process.terminate()


@dataclass
class Outcomes:
    """How calls of one kind ended.

    Attributes:
        seconds: of each that was done, from its first try on.
        refused: refusals on the way; without_hint: of these without RetryInfo.
        lost: why calls were never done, or gave other bytes.
    """

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    without_hint: int = 0
    lost: list[str] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        """Return so many per cent's worst time in seconds: of the sorted times the one at that place."""
        times = sorted(self.seconds)
        return times[min(len(times) * percent // 100, len(times) - 1)] if times else float("nan")

    def row(self, name: str) -> list[object]:
        """Return a row of the table."""
        marks = [f"{self.percentile(each):.2f}" for each in (50, 95, 99)]
        return [name, len(self.seconds), len(self.lost), self.refused, self.without_hint, *marks]


def persist(work: Callable[[], bytes], wanted: bytes, outcomes: Outcomes) -> None:
    """Do ``work`` until it is not refused; note how it went. ``wanted`` is what it has to give."""
    started = time.monotonic()
    while time.monotonic() - started < MOST_SECONDS:
        try:
            given = work()
        except OverloadedError as refusal:
            outcomes.refused += 1
            outcomes.without_hint += refusal.retry_after_s <= 0
            time.sleep(refusal.retry_after_s)
        except CmvcError as error:
            outcomes.lost.append(f"{type(error).__name__}: {error}")
            return
        else:
            if given == wanted:
                outcomes.seconds.append(time.monotonic() - started)
            else:
                outcomes.lost.append("other bytes")
            return
    outcomes.lost.append("refused every time")


def decode(client: Client, stream: bytes) -> bytes:
    """Return the video."""
    return b"".join(client.decode_stream([stream]))


def encode(client: Client, video: Path) -> bytes:
    """Return the stream."""
    out = io.BytesIO()
    client.encode(video, out, SETTINGS)
    return out.getvalue()


@contextmanager
def sampled(processes: Mapping[str, int]) -> Iterator[dict[str, list[float]]]:
    """Note the resident memory in MiB of processes and their children, for as long as the block runs."""
    found: dict[str, list[float]] = {name: [] for name in processes}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            for name, number in processes.items():
                found[name].append(_resident(psutil.Process(number)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _resident(process: psutil.Process) -> float:
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:  # a worker that has just ended
            continue
    return total / 2**20


def picture(memory: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the memory over time."""
    figure, axes = plt.subplots(figsize=(8, 4))
    for name, values in memory.items():
        axes.plot([SAMPLE_SECONDS * n for n in range(len(values))], values, label=name)
    axes.set(xlabel="seconds", ylabel="resident memory with children, MiB", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def calm(client: Client, clip: Clip) -> Outcomes:
    """Return how a few calls went, one after the other."""
    outcomes = Outcomes()
    for _ in range(CALM_CALLS):
        persist(lambda: decode(client, clip.stream), clip.decoded, outcomes)
        time.sleep(CALM_PAUSE_S)
    return outcomes


@contextmanager
def flood(client: Client, stream: bytes) -> Iterator[None]:
    """Decode as many streams at a time as ``FLOODING``, again and again, and heed no refusal."""
    ended = threading.Event()

    def again() -> None:
        while not ended.is_set():
            try:
                decode(client, stream)
            except OverloadedError as refusal:
                ended.wait(min(refusal.retry_after_s, 0.1))

    with ThreadPoolExecutor(FLOODING) as threads:
        ending = [threads.submit(again) for _ in range(FLOODING)]
        try:
            yield
        finally:
            ended.set()
            for each in ending:
                each.result()


@dataclass(frozen=True)
class Fleet:
    """What is loaded: clients of the gateway by tenant, and the processes behind it by name."""

    clients: Mapping[str, Client]
    processes: Mapping[str, int]


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    """Yield a small fleet: a gateway that asks for tokens, a decoder and an encoder that do one thing at a time."""
    tokens = folder / "tokens"
    tokens.write_text("\n".join(TENANTS))
    with ExitStack() as stack:
        encoder = stack.enter_context(served("encoder", "--running=1", "--waiting=4"))
        decoder = stack.enter_context(served("decoder", "--running=1", "--waiting=4"))
        behind = (f"--encoder={encoder.address}", f"--decoder={decoder.address}", f"--token-file={tokens}")
        gateway = stack.enter_context(served("gateway", *behind, f"--max-requests={PLACES}", f"--waiting={PLACES}"))
        clients = {}
        for tenant in TENANTS:
            (folder / tenant).write_text(tenant)
            security = ChannelSecurity(token_file=folder / tenant, insecure_token=True)
            clients[tenant] = stack.enter_context(Client(gateway.address, security, retry=NO_RETRY))
        yield Fleet(clients, {"gateway": gateway.pid, "encoder": encoder.pid, "decoder": decoder.pid})


def loaded(client: Client, clip: Clip, decodes: int, encodes: int) -> dict[str, Outcomes]:
    """Return how so many decodes and encodes at once ended."""
    rows = {"decode": Outcomes(), "encode": Outcomes()}

    def one_decode(_: int) -> None:
        persist(lambda: decode(client, clip.stream), clip.decoded, rows["decode"])

    def one_encode(_: int) -> None:
        persist(lambda: encode(client, clip.video), clip.stream, rows["encode"])

    with ThreadPoolExecutor(decodes + encodes) as threads:
        for results in (threads.map(one_decode, range(decodes)), threads.map(one_encode, range(encodes))):
            deque(results, 0)
    return rows


def report(rows: Mapping[str, Outcomes], memory: Mapping[str, Sequence[float]], options: argparse.Namespace) -> str:
    """Return what was seen, as Markdown."""
    columns = ("calls", "done", "lost", "refusals", "without RetryInfo", "p50 s", "p95 s", "p99 s")
    most = ", ".join(f"{name} {max(values):.0f}" for name, values in memory.items())
    middle = ", ".join(f"{name} {statistics.median(values):.0f}" for name, values in memory.items())
    what = (
        f"{options.decodes} decodes and {options.encodes} encodes at once of {_clip(options)}, through a gateway with "
        f"{PLACES} places and {PLACES} in line to one decoder and one encoder that do one thing at a time. Refused "
        "calls come back after the time that they are told. Every decode and encode gave the bytes of one in process. "
        f"Then {CALM_CALLS} decodes of a calm tenant one after the other, alone and beside a tenant with "
        f"{FLOODING} at a time that heeds no refusal."
    )
    table = markdown(columns, [outcomes.row(name) for name, outcomes in rows.items()])
    share = f"The calm tenant's p95 beside the flood is {ratio(rows):.2f} times that alone."
    memories = f"Memory at most, in MiB, with children: {most}; medians: {middle}."
    return "\n\n".join([what, table, share, memories, "![memory over time](load.png)"])


def ratio(rows: Mapping[str, Outcomes]) -> float:
    """Return how many times longer the calm tenant's p95 is beside a flood."""
    return rows["calm, beside a flood"].percentile(95) / rows["calm, alone"].percentile(95)


def failures(rows: Mapping[str, Outcomes]) -> list[str]:
    """Return what was promised and did not hold."""
    found = [f"{name}: lost: {each.lost[:3]}" for name, each in rows.items() if each.lost]
    found += [
        f"{name}: {each.without_hint} refusals without RetryInfo" for name, each in rows.items() if each.without_hint
    ]
    if not rows["decode"].refused + rows["encode"].refused:
        found.append("nothing was refused: this was no load")
    if ratio(rows) > 2:
        found.append(f"the calm tenant's p95 is {ratio(rows):.2f} times that alone")
    return found


def _clip(options: argparse.Namespace) -> str:
    return options.video.name if options.video else "two seconds of the demo's clip at 320x180"


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decodes", type=int, default=64)
    parser.add_argument("--encodes", type=int, default=32)
    parser.add_argument("--video", type=Path, help="clip to encode; its stream is what is decoded")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    video = options.video or joined([own_clip()], "load", seconds=2, width=320, height=180, rate=24)
    stream = encode(Client(), video)
    clip = Clip(video, stream, decode(Client(), stream))
    with TemporaryDirectory() as folder, fleet(Path(folder)) as loading, sampled(loading.processes) as memory:
        rows = loaded(loading.clients["flood"], clip, options.decodes, options.encodes)
        rows["calm, alone"] = calm(loading.clients["calm"], clip)
        with flood(loading.clients["flood"], stream):
            rows["calm, beside a flood"] = calm(loading.clients["calm"], clip)
    options.out.mkdir(parents=True, exist_ok=True)
    picture(memory, options.out / "load.png")
    data = {"rows": {name: asdict(each) for name, each in rows.items()}, "memory": memory}
    save("load", report(rows, memory, options), data, options.out)
    if failed := failures(rows):
        raise SystemExit(f"error: {json.dumps(failed)}")


if __name__ == "__main__":
    main()
