import asyncio
import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cmvc.control import Control
from cmvc.errors import CancelledError, DeadlineError
from cmvc.wire.bridge import ChunkSource, in_thread


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def read_all(source, size):
    return b"".join(iter(lambda: source.read(size), b""))


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_source_gives_what_was_fed(size):
    source = ChunkSource(Control(), max_bytes=10)
    reading = asyncio.create_task(asyncio.to_thread(read_all, source, size))
    parts = [b"abc", b"", b"defghijklmnop", b"q"] * 10
    for part in parts:
        await source.feed(part)
    source.finish()
    assert await reading == b"".join(parts)


async def test_source_holds_its_feeder_back():
    source = ChunkSource(Control(), max_bytes=10)
    feeding = asyncio.create_task(source.feed(bytes(10)))
    await asyncio.sleep(0.05)
    assert not feeding.done()
    assert source.read(4) == bytes(4)
    assert source.read(4) == bytes(4)
    await feeding


async def test_abandoned_source_lets_its_feeder_go():
    source = ChunkSource(Control(), max_bytes=1)
    feeding = asyncio.create_task(source.feed(bytes(10)))
    await asyncio.sleep(0)
    source.abandon()
    await feeding
    await source.feed(bytes(10))


async def test_error_comes_after_the_bytes_before_it():
    source = ChunkSource(Control())
    await source.feed(b"ab")
    source.finish(ValueError("damaged"))
    assert source.read(9) == b"ab"
    with pytest.raises(ValueError, match="damaged"):
        source.read(9)


async def test_waiting_reader_notices_cancel_and_deadline():
    control = Control()
    source = ChunkSource(control)
    reading = asyncio.create_task(asyncio.to_thread(source.read, 1))
    control.cancel()
    with pytest.raises(CancelledError):
        await reading
    late = ChunkSource(Control(deadline=time.monotonic()))
    with pytest.raises(DeadlineError):
        await asyncio.to_thread(late.read, 1)


async def test_items_come_in_order_then_the_error(executor):
    def items():
        yield from range(100)
        raise ValueError("after them")

    seen = []

    async def drain():
        async for item in in_thread(items(), executor, Control()):
            seen.append(item)

    with pytest.raises(ValueError, match="after them"):
        await drain()
    assert seen == list(range(100))


async def test_producer_stays_a_bounded_number_of_items_ahead(executor):
    made = []

    def items():
        for n in range(100):
            made.append(n)
            yield n

    iterator = in_thread(items(), executor, Control(), results_ahead=3)
    await anext(iterator)
    await asyncio.sleep(0.1)
    assert len(made) <= 6  # the one taken, three ahead, and what is in either's hand
    await iterator.aclose()


async def test_leaving_early_stops_the_producer(executor):
    control, closed = Control(), threading.Event()

    def items():
        try:
            while True:
                control.check()
                yield 1
        finally:
            closed.set()

    iterator = in_thread(items(), executor, control)
    await anext(iterator)
    await iterator.aclose()
    assert closed.is_set()
    assert control.cancelled


async def test_error_of_a_producer_that_nobody_waits_for_any_more_is_not_complained_about(executor):
    complaints, gate = [], threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
    control = Control()

    def items():
        yield 1
        gate.wait()
        control.check()

    async def drain():
        async for _ in in_thread(items(), executor, control):
            pass

    draining = asyncio.create_task(drain())
    await asyncio.sleep(0.1)
    for _ in range(2):  # the second time while it waits for the thread
        draining.cancel()
        await asyncio.sleep(0.1)
    assert draining.done()
    gate.set()
    await loop.run_in_executor(executor, gate.wait)  # after the producer where there is one thread
    await asyncio.sleep(0.1)
    del draining
    gc.collect()
    assert complaints == []
