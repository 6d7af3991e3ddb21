from cmvc.wire.transfer import checked, make_chunk
from cmvc_gateway.results import Budget, Cache, Result


async def filled(budget, *parts):
    result = Result(budget)
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
    budget, cache = Budget(1000), Cache(10)
    for key, data in ((b"a", b"12345"), (b"b", b"67890")):
        result = await filled(budget, data)
        result.prologue, result.frames = b"head", 7
        cache.put(key, result)
    hit = await cache.get(b"a", budget)
    assert (hit.prologue, hit.frames, hit.size, content(hit)) == (b"head", 7, 5, b"12345")
    cache.put(b"c", await filled(budget, b"xyz"))
    assert await cache.get(b"b", budget) is None
    assert content(await cache.get(b"a", budget)) == b"12345"
    assert content(await cache.get(b"c", budget)) == b"xyz"


async def test_cache_of_no_size_keeps_nothing():
    budget, cache = Budget(1000), Cache(0)
    cache.put(b"a", await filled(budget, b"12345"))
    assert await cache.get(b"a", budget) is None
