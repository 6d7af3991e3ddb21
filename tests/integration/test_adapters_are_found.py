"""Segments that are made with an adapter go to decoders that have it, whatever the others say or do not say."""

import pytest
from scripted_decoders import asked_to_go_on, gateway
from text_streams import text_stream

from cmvc.errors import AdapterMismatchError, MissingWeightsError
from cmvc.wire.status import abort

SMOOTH = ("smooth", b"01234567")
SEGMENTS = 4
STREAM = text_stream(SEGMENTS, adapter="smooth")
WHOLE = b"P;" + b"".join(b"%d;" % n for n in range(SEGMENTS))


async def decoded(client, data=STREAM):
    return b"".join([part async for part in client.decode_stream([data])])


async def lacks(decoder, request, context):
    await abort(context, MissingWeightsError("the adapter smooth is not installed"))


async def another(decoder, request, context):
    await abort(context, AdapterMismatchError("installed here is another"))


def decoders(*of):
    """Return decoders that behave so and say that they have these adapters."""
    made = asked_to_go_on(*(behave for behave, _ in of))
    for decoder, (_, adapters) in zip(made, of, strict=True):
        decoder.adapters = adapters
    return made


async def test_segments_go_to_decoders_that_have_their_adapter():
    without, other, has = decoders((lacks, []), (another, [("other", b"76543210")]), (None, [SMOOTH]))
    async with gateway(without, other, has) as client:
        assert await decoded(client) == WHOLE
        assert not without.asked
        assert not other.asked
        assert await decoded(client, text_stream(SEGMENTS)) == WHOLE  # needs none
    assert without.asked


@pytest.mark.parametrize("answer", [lacks, another])
async def test_what_a_decoder_that_could_not_tell_lacks_is_sought_at_others(answer):
    cannot_tell, has = decoders((answer, None), (None, None))
    async with gateway(cannot_tell, has) as client:
        assert await decoded(client) == WHOLE
    assert len(cannot_tell.asked) == len(set(cannot_tell.asked))  # of each segment once


async def test_an_adapter_that_no_decoder_has_is_answered_by_one_of_them():
    those = decoders((lacks, []), (lacks, []))
    async with gateway(*those) as client:
        with pytest.raises(MissingWeightsError, match="not installed"):
            await decoded(client)
    asked = those[0].asked + those[1].asked
    assert asked.count(0) == 1


async def test_all_that_cannot_tell_are_asked_before_a_stream_ends():
    those = decoders((lacks, None), (lacks, None), (lacks, []))
    async with gateway(*those) as client:
        with pytest.raises(MissingWeightsError, match="not installed"):
            await decoded(client)
    assert [decoder.asked.count(0) for decoder in those] == [1, 1, 0]


async def test_an_adapter_that_was_just_installed_is_found():
    only, other = decoders((None, []), (lacks, []))
    async with gateway(only, other) as client:
        only.adapters = [SMOOTH]
        assert await decoded(client) == WHOLE
    assert not other.asked
