"""``make bench-scale``, first half: what more decoders bring, and what is lost when they come and go.

The decoders are stubs that sleep for 250 ms a segment, ±20 % (see ``benchmarks.replicas``), so that only the spreading
is measured. The gateway finds them by name. One stream of 200 segments is decoded with 1, 2, 4 and 8 of them; then
once more while decoders join, leave and die. Every output is compared with what it has to be, byte by byte.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from math import inf
from pathlib import Path

from benchmarks.replicas import Cost, Replicas, packets
from benchmarks.report import markdown, save
from cmvc.client import Client

COUNTS = (1, 2, 4, 8)
BEFORE, AFTER = 4, 6  # decoders, before and after two joined


def measure(count: int, segments: int, cost: Cost, folder: Path) -> dict[str, object]:
    """Decode one stream with ``count`` decoders and return its row."""
    load = os.getloadavg()[0]
    with Replicas(folder, count, cost) as replicas, Client(replicas.gateway.target) as client:
        began = time.perf_counter()
        video = b"".join(client.decode_stream([b"".join(packets(segments))]))
        wall = time.perf_counter() - began
    return {
        "decoders": count,
        "seconds": round(wall, 2),
        "segments_per_s": round(segments / wall, 2),
        "efficiency": 0.0,
        "output": "identical" if video == cost.video(segments) else "DIFFERS",
        "load_before": round(load, 2),
    }


def add_efficiency(rows: list[dict[str, object]]) -> None:
    """Set each row's throughput over that of one decoder times their number."""
    alone = float(str(rows[0]["segments_per_s"])) / int(str(rows[0]["decoders"]))
    for row in rows:
        row["efficiency"] = round(float(str(row["segments_per_s"])) / alone / int(str(row["decoders"])), 3)


class Churn:
    """Decodes one stream while decoders come and go: two join, two leave, one is killed."""

    def __init__(self, segments: int, cost: Cost, folder: Path) -> None:
        self._segments, self._cost = segments, cost
        self._replicas = Replicas(folder, BEFORE, cost)

    def run(self) -> dict[str, object]:
        """Return what happened."""
        received = bytearray()
        with self._replicas as replicas, Client(replicas.gateway.target) as client:
            first, second, third, fourth = replicas.decoders
            fresh = [replicas.add() for _ in range(AFTER - BEFORE)]  # up, but without the name
            whole = len(self._cost.video(self._segments))
            parts = iter(client.decode_stream([b"".join(packets(self._segments))]))

            def until(share: float) -> None:
                while len(received) < share * whole:
                    received.extend(next(parts))

            until(0.15)
            joined = replicas.name(first, second, third, fourth, *fresh)
            until(0.5)
            left = replicas.name(third, fourth, *fresh)
            until(0.8)
            replicas.decoders[third].end(kill=True)
            received.extend(b"".join(parts))
        took = {host: decoder.took for host, decoder in replicas.decoders.items()}
        first_work = {host: min((at for at, _ in took[host]), default=inf) for host in fresh}
        asked = Counter(index for each in took.values() for _, index in each)
        return {
            "segments": self._segments,
            "output": "identical" if received == self._cost.video(self._segments) else "DIFFERS",
            "segments_begun_twice": sum(asked.values()) - len(asked),
            "first_work_after_joining_s": [round(at - joined, 2) for at in first_work.values()],
            "last_work_after_leaving_s": [round(max(at for at, _ in took[h]) - left, 2) for h in (first, second)],
            "segments_taken": {host: len(each) for host, each in took.items()},
        }


def _lines(churn: dict[str, object]) -> Iterator[str]:
    for key, value in churn.items():
        yield f"- {key}: {value}"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--segments", type=int, default=200)
    options = parser.parse_args()
    cost = Cost()
    with tempfile.TemporaryDirectory(prefix="cmvc-scaling-") as scratch:
        rows = []
        for count in COUNTS:
            rows.append(measure(count, options.segments, cost, Path(scratch)))
            print(rows[-1], flush=True)
        add_efficiency(rows)
        churn = Churn(options.segments, cost, Path(scratch)).run()
    about = (
        f"{options.segments} segments through a gateway to stub decoders on loopback, each of which works on one at a"
        f" time, {1000 * cost.seconds:g} ms ±{100 * cost.spread:g} %. Efficiency is the throughput over that of one"
        " decoder times their number; load is that of the machine (1 minute) before each run.\n\n"
    )
    text = about + markdown(list(rows[0]), [list(row.values()) for row in rows])
    text += (
        f"\n\nOne more stream that {BEFORE} decoders began; two more joined the name after 15 % of the output, two of"
        " the first left it after 50 %, and one that it still had was killed after 80 %.\n\n"
    )
    save("scaling", text + "\n".join(_lines(churn)), {"cost": vars(cost), "rows": rows, "churn": churn})


if __name__ == "__main__":
    main()
