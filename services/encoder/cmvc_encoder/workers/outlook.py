"""Windows with what is known of those after them: a few are read and tried before the first of them is coded."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass

from cmvc_encoder.coding.probe import Probe
from cmvc_encoder.ingest.cutting import Batch
from cmvc_encoder.workers.line import started


@dataclass(frozen=True)
class Known:
    """A window that is read, and what trials of it told; None where there were none."""

    batch: Batch
    probe: Probe | None


def looked_ahead(
    batches: Generator[Batch], probe: Callable[[Batch], Probe], depth: int, jobs: int
) -> Generator[list[Known]]:
    """Yield each window with those after it that are known, at most ``depth`` of them.

    Args:
        batches: the windows.
        probe: called for each in a thread of its own, unless ``depth`` is 0 or there is but one window.
        depth: windows past the first.
        jobs: trials at a time.
    """
    running = threading.Semaphore(jobs)
    held: deque[tuple[Batch, Future[Probe] | None]] = deque()
    with closing(batches):
        for batch in batches:
            alone = batch.last and not held
            held.append((batch, None if alone or not depth else started(lambda batch=batch: probe(batch), running)))  # type: ignore[misc]
            if len(held) > depth:
                yield _known(held)
                held.popleft()
    while held:
        yield _known(held)
        held.popleft()


def _known(held: Iterable[tuple[Batch, "Future[Probe] | None"]]) -> list[Known]:
    return [Known(batch, probe.result() if probe is not None else None) for batch, probe in held]
