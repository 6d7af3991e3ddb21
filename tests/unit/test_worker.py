"""Work that waits for a slot: it keeps its place in the line, says that it lives, and ends when it is to."""

import asyncio
from contextlib import AsyncExitStack, aclosing, suppress

import pytest

from cmvc.control import Control
from cmvc.errors import CancelledError, OverloadedError
from cmvc.server import worker as module
from cmvc.server.slots import Slots
from cmvc.server.worker import Worker


async def ticks():
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_place_in_line_outlives_looks_and_is_given_back():
    async def scenario():
        slots = Slots(1, 2)
        async with AsyncExitStack() as holding:
            first = await holding.enter_async_context(slots.line())
            assert await first.come(0)
            async with slots.line() as second:
                assert not await second.come(0)
                later = asyncio.create_task(hold(slots))
                await ticks()
                with pytest.raises(OverloadedError):
                    async with slots.line():
                        pass
                assert not await second.come(0)
                await holding.aclose()
                assert await second.come()  # before the one that came later, however often this one looked
                assert not later.done()
            await later
        async with slots.take():
            pass

    async def hold(slots):
        async with slots.take():
            pass

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_whoever_leaves_the_line_holds_nothing():
    async def scenario():
        slots = Slots(1, 1)
        async with slots.take():
            with suppress(TimeoutError):
                async with asyncio.timeout(0), slots.take():
                    raise AssertionError("there was no room")
        async with slots.take():
            await ticks()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_work_that_waits_says_so_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)

    async def scenario():
        worker = Worker("test", 1, 1)
        release, control = asyncio.Event(), Control()

        async def busy():
            async with aclosing(worker.run(lambda: iter(["busy"]), Control())) as results:
                async for _ in results:
                    await release.wait()

        holding = asyncio.create_task(busy())
        await asyncio.sleep(0)
        async with aclosing(worker.run(lambda: iter(["done"]), control, beat="waits")) as results:
            assert [await anext(results) for _ in range(3)] == ["waits"] * 3
            control.cancel()
            with pytest.raises(CancelledError):
                await anext(results)
        release.set()
        await holding
        async with aclosing(worker.run(lambda: iter(["done"]), Control(), beat="waits")) as results:
            assert [each async for each in results][-1] == "done"
        worker.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_free_slots_go_to_whoever_has_fewest():
    async def scenario():
        slots, order = Slots(2, 8), []

        async def call(tenant):
            async with slots.take(tenant):
                order.append(tenant)
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as calls:
            for tenant in ("flood", "flood", "flood", "flood", "flood", "calm", "calm"):
                calls.create_task(call(tenant))
        assert order == ["flood", "flood", "calm", "flood", "calm", "flood", "flood"]

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_a_full_line_of_one_tenant_makes_way_for_another():
    async def scenario():
        slots = Slots(1, 3)
        async with AsyncExitStack() as held:
            await held.enter_async_context(slots.take("flood"))
            turns = [await held.enter_async_context(slots.line("flood")) for _ in range(3)]
            with pytest.raises(OverloadedError):
                async with slots.line("flood"):
                    pass
            calm = await held.enter_async_context(slots.line("calm"))
            with pytest.raises(OverloadedError):
                await turns[-1].come()  # the last that came goes
            assert not await turns[0].come(0)
            with pytest.raises(OverloadedError):  # which would leave the others fewer than it
                async with slots.line("calm"):
                    pass
            assert not await calm.come(0)
        async with slots.take(), AsyncExitStack() as held:
            for _ in range(3):
                await held.enter_async_context(slots.line())

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_whoever_comes_finds_a_place_that_a_flood_has_left():
    async def scenario():
        slots = Slots(3, 8, spare=1)
        async with AsyncExitStack() as held:
            turns = [await held.enter_async_context(slots.line("flood")) for _ in range(4)]
            assert [turn.came for turn in turns] == [True, True, False, False]
            calm = await held.enter_async_context(slots.line("calm"))
            assert calm.came
        async with AsyncExitStack() as held:  # nobody can be told apart: nothing is left
            turns = [await held.enter_async_context(slots.line()) for _ in range(4)]
            assert [turn.came for turn in turns] == [True, True, True, False]
        async with Slots(1, 0, spare=1).take("alone"):
            pass

    asyncio.run(asyncio.wait_for(scenario(), 10))
