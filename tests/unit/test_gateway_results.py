import asyncio

import pytest

from cmvc.errors import LimitError
from cmvc.wire.transfer import checked, make_chunk
from cmvc_gateway import results
from cmvc_gateway.results import Budget, Cache, NoRoomError, Result, Stores
from cmvc_gateway.room import Room


def stores(budget, disk=1000):
    return Stores(budget, Room(disk))


async def filled(budget, *parts, disk=1000):
    result = Result(stores(budget, disk))
    for part in parts:
        await result.add(make_chunk(part), len(part))
    return result


def content(result):
    return b"".join(map(checked, result.chunks()))


async def test_within_the_budget_it_stays_in_memory_and_gives_it_back():
    budget = Budget(10)
    result = await filled(budget, b"abc", b"defg")
    assert budget.left == 3
    assert content(result) == b"abcdefg"
    assert budget.left == 10


async def test_over_the_budget_it_spills_in_order():
    budget = Budget(10)
    result = await filled(budget, b"abcdef", b"0123456789", b"x")
    assert result.in_memory() is None
    assert result.size == 17
    assert content(result) == b"abcdef0123456789x"
    assert budget.left == 10


async def test_dropping_gives_everything_back():
    budget = Budget(10)
    result = await filled(budget, b"abcdef", b"0123456789")
    result.drop()
    result.drop()
    assert budget.left == 10


async def test_half_taken_then_dropped_gives_everything_back():
    budget = Budget(10)
    result = await filled(budget, b"abc", b"def")
    next(result.chunks())
    result.drop()
    assert budget.left == 10


async def test_cache_returns_what_it_was_given_and_forgets_the_oldest():
    budget, cache = Budget(1000), Cache(18)
    for key, data in ((b"a", b"12345"), (b"b", b"67890")):
        result = await filled(budget, data)
        result.prologue, result.frames = b"head", 7
        cache.put(key, result)
    hit = await cache.get(b"a", stores(budget))
    assert (hit.prologue, hit.frames, hit.size, content(hit)) == (b"head", 7, 5, b"12345")
    cache.put(b"c", await filled(budget, b"xyz"))
    assert await cache.get(b"b", stores(budget)) is None
    assert content(await cache.get(b"a", stores(budget))) == b"12345"
    assert content(await cache.get(b"c", stores(budget))) == b"xyz"


async def test_cache_of_no_size_keeps_nothing():
    budget, cache = Budget(1000), Cache(0)
    cache.put(b"a", await filled(budget, b"12345"))
    assert await cache.get(b"a", stores(budget)) is None


async def test_a_result_that_no_room_will_ever_hold_is_refused():
    with pytest.raises(LimitError, match="--spool-mib"):
        await filled(Budget(10), b"0123456789ab", bytes(90), disk=100)


async def test_what_waits_for_its_turn_leaves_half_of_the_room_to_what_has_it(monkeypatch):
    monkeypatch.setattr(results, "HOLD_SECONDS", 0.05)
    where = Stores(Budget(0), Room(100))
    later, first = Result(where, lambda: False), Result(where)
    await later.add(make_chunk(bytes(50)), 50)
    with pytest.raises(NoRoomError):
        await later.add(make_chunk(b"x"), 1)
    await first.add(make_chunk(bytes(50)), 50)
    with pytest.raises(NoRoomError):
        await first.add(make_chunk(b"x"), 1)
    later.drop()
    await first.add(make_chunk(bytes(40)), 40)
    assert len(content(first)) == 90
    first.drop()
    assert where.disk.left == 100


async def test_what_waits_for_room_goes_on_once_its_turn_has_come():
    room, turn = Room(100), asyncio.Event()
    await room.take(50, turn.is_set)
    waiting = asyncio.create_task(room.take(50, turn.is_set))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    turn.set()
    await waiting
    assert room.left == 0
