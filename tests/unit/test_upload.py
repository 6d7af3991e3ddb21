"""A video on its way to an encoder can be read again; what another encoder makes has to begin alike."""

import asyncio

import pytest

from cmvc.errors import IdleError, ServerError
from cmvc.v1 import encoder_pb2
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.released import Released
from cmvc_gateway.room import Room
from cmvc_gateway.upload import AHEAD, Upload

MESSAGES = [encoder_pb2.EncodeRequest(chunk=make_chunk(b"%d" % n * 1000)) for n in range(3 * AHEAD)]


async def requests(messages=MESSAGES, error=None):
    for each in messages:
        yield each
    if error:
        raise error


async def take(upload, count=None):
    taken = []
    async for each in upload.read():
        taken.append(each)
        if len(taken) == count:
            break
    return taken


@pytest.mark.parametrize("taken_first", [0, 1, AHEAD + 2, len(MESSAGES), None])
def test_whoever_comes_next_gets_everything(taken_first):
    async def scenario():
        room = Room(1 << 20)
        upload = Upload(requests(), room)
        if taken_first != 0:
            await take(upload, taken_first)
        assert upload.whole
        for _ in range(2):
            assert await take(upload) == MESSAGES
        assert room.left < room.size
        await upload.close()
        assert room.left == room.size

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_where_there_is_no_room_it_goes_on_once():
    async def scenario():
        room = Room(8000)  # of which half is for what comes next elsewhere
        upload = Upload(requests(), room)
        assert await take(upload) == MESSAGES
        assert not upload.whole
        assert room.left == room.size
        await upload.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_the_callers_error_comes_as_it_is_after_what_was_sent():
    async def scenario():
        upload = Upload(requests(MESSAGES[:2], IdleError("gone quiet")), Room(1 << 20))
        for _ in range(2):
            reading = upload.read()
            assert [await anext(reading), await anext(reading)] == MESSAGES[:2]
            with pytest.raises(IdleError, match="quiet"):
                await anext(reading)
        await upload.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_was_released_is_left_out_however_it_is_cut():
    whole = bytes(range(200))
    released = Released("encoders")
    assert released.new(whole[:50]) + released.new(whole[50:90]) == whole[:90]
    for size in (1, 7, 90, 91, 200):
        released.again()
        fresh = b"".join(released.new(whole[start : start + size]) for start in range(0, 200, size))
        assert fresh == (whole[90:] if size == 1 else b"")  # the first time through releases the rest


def test_a_stream_that_ends_before_what_has_left_is_not_taken_for_it():
    released = Released("encoders")
    released.new(b"as it was")
    released.end()
    released.again()
    assert released.new(b"as") == b""
    with pytest.raises(ServerError, match="two encoders write differently"):
        released.end()


def test_a_stream_that_begins_otherwise_is_not_gone_on_with():
    released = Released("encoders")
    released.new(b"as it was")
    released.again()
    assert released.new(b"as it") == b""
    with pytest.raises(ServerError, match="same version"):
        released.new(b" is not")
