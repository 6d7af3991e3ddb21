"""The gateway in front of decoders that fail in scripted ways: what is driven again, where, and what is not."""

import asyncio
from contextlib import suppress

import grpc
import pytest
from prometheus_client import REGISTRY
from scripted_decoders import SEGMENTS, WHOLE, Decoder, Response, asked_to_go_on, decoded, gateway
from streams import stream
from text_streams import FRAMES, RATE, text_stream

from cmvc.errors import (
    BackendUnavailableError,
    CorruptStreamError,
    LimitError,
    OverloadedError,
    PoisonedSegmentError,
    ServerError,
    UnknownProfileError,
)
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.plain import MOST_BYTES
from cmvc.settings import decode_config
from cmvc.v1 import common_pb2
from cmvc.wire.status import abort
from cmvc.wire.transfer import make_chunk
from cmvc_gateway.attempts import STRIKES, TRIES


def redriven(reason):
    return REGISTRY.get_sample_value("cmvc_segments_redriven_total", {"reason": reason}) or 0


async def overloaded(decoder, request, context):
    await abort(context, OverloadedError("busy", 0.01))


async def damaged(decoder, request, context):
    await context.write(Response(data=common_pb2.Chunk(data=b"garbage", crc32c=1)))


async def crashed(decoder, request, context):
    raise RuntimeError("out of memory")


async def unavailable(decoder, request, context):
    await context.abort(grpc.StatusCode.UNAVAILABLE, "going down")


@pytest.mark.parametrize(
    ("behave", "reason"),
    [(overloaded, "overloaded"), (damaged, "checksum"), (crashed, "failed"), (unavailable, "unavailable")],
)
async def test_what_another_decoder_can_do_is_driven_again_there(behave, reason):
    bad, good = Decoder(behave), Decoder()
    before = redriven(reason)
    async with gateway(bad, good) as client:
        assert await decoded(client) == WHOLE
    assert bad.asked
    assert redriven(reason) - before >= len(bad.asked) > 0
    assert sorted(good.asked) == list(range(SEGMENTS))


async def test_passing_trouble_of_the_only_decoder_is_waited_for():
    async def at_first(decoder, request, context):
        if decoder.asked.count(request.index) == 1:
            await overloaded(decoder, request, context)

    only = Decoder(at_first)
    async with gateway(only) as client:
        assert await decoded(client) == WHOLE
    assert sorted(only.asked) == sorted(2 * list(range(SEGMENTS)))


async def test_what_no_decoder_can_do_is_not_driven_again():
    async def corrupt(decoder, request, context):
        if request.index == 1:
            await abort(context, CorruptStreamError("no picture in it"))

    decoders = Decoder(corrupt), Decoder(corrupt)
    async with gateway(*decoders) as client:
        with pytest.raises(CorruptStreamError, match="no picture in it"):
            await decoded(client)
    assert (decoders[0].asked + decoders[1].asked).count(1) == 1


async def test_tries_are_bounded():
    decoders = Decoder(crashed), Decoder(crashed)
    async with gateway(*decoders) as client:
        with pytest.raises(ServerError):
            await decoded(client)
    asked = decoders[0].asked + decoders[1].asked
    assert asked.count(0) == TRIES


GOES_ON = text_stream(5, closes=1, continuity="tail")  # two shots


async def test_segments_go_on_from_what_those_before_them_hand_on_whichever_decoder_fails():
    """Segment n of a shot shows that it was given what all before it have made; shots run beside each other."""
    decoders = asked_to_go_on(crashed, None)
    async with gateway(*decoders, cache_mib=1) as client:
        whole = b"P;0;1;0;2;3;2;4;2;3;"
        assert b"".join([part async for part in client.decode_stream([GOES_ON])]) == whole
        asked = [len(decoder.asked) for decoder in decoders]
        assert b"".join([part async for part in client.decode_stream([GOES_ON])]) == whole
        assert [len(decoder.asked) for decoder in decoders] == asked  # tails are kept with what is kept
    assert decoders[0].asked


async def test_a_part_is_decoded_from_the_first_segment_of_its_shot():
    (only,) = asked_to_go_on(None)
    async with gateway(only) as client:
        config = decode_config(start=33 / RATE, duration=3 / RATE)

        async def wanted(decoder, request, context):
            decoder.frames = FRAMES if request.index < 4 else 3

        only.behave = wanted
        assert b"".join([part async for part in client.decode_stream([GOES_ON], config)]) == b"P;4;2;3;"
    assert only.asked == [2, 3, 4]


async def test_a_decoder_that_fails_fast_is_not_given_what_others_are_too_busy_for():
    async def slow(decoder, request, context):
        await asyncio.sleep(0.15)

    bad, good = Decoder(crashed), Decoder(slow)
    async with gateway(bad, good) as client:
        assert await asyncio.gather(*(decoded(client) for _ in range(3))) == [WHOLE] * 3
    assert len(bad.asked) < len(good.asked) / 2


async def test_a_decoder_that_failed_is_given_work_again():
    async def once(decoder, request, context):
        if len(decoder.asked) == 1:
            await crashed(decoder, request, context)

    failed, good = Decoder(once), Decoder()
    async with gateway(failed, good) as client:
        while len(failed.asked) < 2:
            assert await decoded(client) == WHOLE


async def test_order_is_kept_when_answers_come_out_of_order():
    async def slow_at_first(decoder, request, context):
        await asyncio.sleep(0.2 if request.index == 0 else 0)

    decoders = Decoder(slow_at_first), Decoder(slow_at_first)
    async with gateway(*decoders) as client:
        assert await decoded(client) == WHOLE


async def test_each_decoder_is_given_one_segment_more_than_it_works_on_at_once():
    all_busy = asyncio.Event()

    async def until_all_are_busy(decoder, request, context):
        if [each.at_once for each in decoders] == [2, 4]:
            all_busy.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await all_busy.wait()

    decoders = Decoder(until_all_are_busy), Decoder(until_all_are_busy, segments_at_once=3)
    async with gateway(*decoders) as client:
        await asyncio.gather(decoded(client), decoded(client))
    assert [decoder.most_at_once for decoder in decoders] == [2, 4]


async def test_progress_of_segments_in_work_reaches_the_client(monkeypatch):
    monkeypatch.setattr("cmvc_gateway.spread.PROGRESS_SECONDS", 0.02)

    async def half_done(decoder, request, context):
        await context.write(Response(progress=common_pb2.Progress(frames_done=7, frames_total=24)))
        await asyncio.sleep(0.3)

    told = []
    async with gateway(Decoder(half_done)) as client:
        parts = [part async for part in client.decode_stream([stream(SEGMENTS)], progress=told.append)]
        assert b"".join(parts) == WHOLE
    done = [progress.frames_done for progress in told]
    assert done == sorted(done)
    assert any(frames % 24 for frames in done)  # not only whole segments
    assert done[-1] == 24 * SEGMENTS


async def test_segments_go_where_their_profile_is_served():
    one, other = Decoder(profile="one"), Decoder(profile="other")
    async with gateway(one, other) as client:
        assert await decoded(client, profile="other") == WHOLE
        with pytest.raises(UnknownProfileError, match=r"served: one, other"):
            await decoded(client, profile="third")
    assert not one.asked


async def test_decoders_that_write_differently_are_not_mixed():
    async with gateway(Decoder(), Decoder(prologue=b"Q;")) as client:
        with pytest.raises(ServerError, match="same version"):
            await decoded(client)


def garbled_at_first(index, others_wait):
    """Behave so that the first to work on a segment gives other bytes and ends, before or after others may go on."""
    tries, tried_again = [], asyncio.Event()

    async def behave(decoder, request, context):
        if request.index < index and others_wait:
            await tried_again.wait()
        if request.index == index:
            tries.append(decoder)
            if len(tries) == 1:
                await context.write(Response(prologue=b"P;"))
                await context.write(Response(data=make_chunk(b"longer than it should be")))
                await context.abort(grpc.StatusCode.UNAVAILABLE, "it has ended")
            tried_again.set()

    return behave


async def test_what_has_not_left_yet_is_made_anew_whatever_it_was():
    behave = garbled_at_first(1, others_wait=True)
    async with gateway(Decoder(behave), Decoder(behave)) as client:
        assert await decoded(client) == WHOLE


async def test_a_segment_that_is_shorter_than_what_of_it_has_left_is_not_taken():
    behave = garbled_at_first(0, others_wait=False)
    async with gateway(Decoder(behave), Decoder(behave)) as client:
        with pytest.raises(ServerError, match=r"gave less than another before it|write differently"):
            await decoded(client)


async def test_no_decoder_is_said_at_once():
    async with gateway() as client:
        with pytest.raises(BackendUnavailableError, match="--decoder HOST:PORT"):
            await decoded(client)


async def ended_in_the_middle(decoder, request, context):
    if request.index == 1:
        await context.write(Response(progress=common_pb2.Progress(frames_total=24)))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "killed")


async def silent(decoder, request, context):
    if request.index == 1:
        await asyncio.sleep(30)


@pytest.mark.parametrize("behave", [ended_in_the_middle, silent])
async def test_a_segment_that_ended_two_decoders_is_given_to_no_third(behave):
    decoders = [Decoder(behave) for _ in range(3)]
    async with gateway(*decoders, stall_s=0.3) as client:
        with pytest.raises(PoisonedSegmentError, match="segment 1 ended 2 decoders"):
            await decoded(client)
    assert sum(decoder.asked.count(1) for decoder in decoders) == STRIKES


async def test_refusals_of_a_full_decoder_are_waited_out_however_many():
    async def full(decoder, request, context):
        if decoder.asked.count(request.index) <= 2 * TRIES:
            await overloaded(decoder, request, context)

    only = Decoder(full)
    async with gateway(only) as client:
        assert await decoded(client) == WHOLE


async def test_refusals_end_a_stream_once_it_has_waited_long_enough():
    async with gateway(Decoder(overloaded), wait_s=0.2) as client:
        with pytest.raises(OverloadedError):
            await decoded(client)


@pytest.mark.parametrize("frames", [0, 23, 1 << 31])
async def test_a_decoder_that_says_it_made_other_frames_than_asked_for_is_not_believed(frames):
    wrong, right = Decoder(frames=frames), Decoder()
    async with gateway(wrong, right) as client:
        assert await decoded(client) == WHOLE
    assert wrong.asked


async def chatty(decoder, request, context):
    for number in range(DEFAULT_LIMITS.segment_notes + 1):
        await context.write(Response(note=f"{number} " + 10_000 * "x"))


async def with_a_long_prologue(decoder, request, context):
    await context.write(Response(prologue=bytes(DEFAULT_LIMITS.prologue_bytes + 1)))


async def with_a_long_tail(decoder, request, context):
    await context.write(Response(tail=bytes(DEFAULT_LIMITS.tail_bytes + 1)))


@pytest.mark.parametrize("behave", [chatty, with_a_long_prologue, with_a_long_tail])
async def test_a_decoder_that_sends_too_much_beside_the_video_is_not_believed(behave):
    wrong, right = Decoder(behave), Decoder()
    before = redriven("failed")
    async with gateway(wrong, right) as client:
        assert await decoded(client) == WHOLE
    assert wrong.asked
    assert redriven("failed") - before >= len(wrong.asked)


async def test_where_every_decoder_sends_too_much_beside_the_video_it_is_blamed():
    wrong = Decoder(chatty)
    async with gateway(wrong) as client:
        with pytest.raises(ServerError, match=f"the decoder {wrong.address} sent more beside a segment than it may"):
            await decoded(client)


async def test_notes_of_decoders_are_shortened_and_only_so_many_kept(monkeypatch):
    monkeypatch.setattr("cmvc_gateway.servicer.DEFAULT_LIMITS", Limits(stream_notes=SEGMENTS - 1))

    async def long_notes(decoder, request, context):
        await context.write(Response(note=f"{request.index} " + 10_000 * "x"))

    async with gateway(Decoder(long_notes)) as client:
        transfer = client.decode_stream([stream(SEGMENTS)])
        assert b"".join([part async for part in transfer]) == WHOLE
    summary = transfer.summary
    assert [note.split()[0] for note in summary.notes] == [str(n) for n in range(SEGMENTS - 1)]
    assert {len(note.encode()) for note in summary.notes} == {MOST_BYTES}


async def test_a_retry_delay_of_years_is_not_obeyed(monkeypatch):
    monkeypatch.setattr("cmvc.wire.status.MOST_RETRY_S", 0.01)

    async def at_first(decoder, request, context):
        if decoder.asked.count(request.index) == 1:
            await abort(context, OverloadedError("busy", 1e9))

    async with gateway(Decoder(at_first)) as client:
        assert await decoded(client) == WHOLE


async def test_raw_output_that_the_gateway_could_not_keep_is_refused_before_it_is_made():
    only = Decoder()
    async with gateway(only, spool_mib=1) as client:
        with pytest.raises(LimitError, match="--spool-mib"):
            async for _ in client.decode_stream([stream(SEGMENTS)], decode_config(output="y4m")):
                pass
    assert not only.asked


async def seen_up(decoder, value):
    while REGISTRY.get_sample_value("cmvc_backend_up", {"backend": decoder.address}) != value:
        await asyncio.sleep(0.05)


async def test_what_decoders_of_another_version_made_is_not_answered_from_the_cache():
    decoder = Decoder(version="1")
    async with gateway(decoder, cache_mib=1) as client:
        assert await decoded(client) == WHOLE
        assert await decoded(client) == WHOLE
        assert len(decoder.asked) == SEGMENTS
        decoder.well, decoder.version = False, "2"
        await seen_up(decoder, 0)
        decoder.well = True
        await seen_up(decoder, 1)
        assert await decoded(client) == WHOLE
        assert len(decoder.asked) == 2 * SEGMENTS
