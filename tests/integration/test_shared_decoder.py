"""Several gateways on one decoder share its places by what it says of them, not by running into each other."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from servers import servers
from streams import stream

from cmvc.client import Client

REFUSED = 'cmvc_requests_total{code="RESOURCE_EXHAUSTED",method="DecodeSegment"}'
SEGMENTS, STREAMS = 6, 2  # of each gateway


def decoded(gateways, data):
    def decode(number):
        with Client(gateways[number % len(gateways)].address) as client:
            return b"".join(client.decode_stream([data]))

    with ThreadPoolExecutor(STREAMS * len(gateways)) as threads:
        return list(threads.map(decode, range(STREAMS * len(gateways))))


@contextmanager
def shared(*options):
    """Yield a decoder and two gateways on it."""
    with servers() as start:
        decoder = start("decoder", *options)
        yield decoder, [start("gateway", f"--decoder={decoder.address}") for _ in range(2)]


@pytest.fixture(scope="module")
def wanted():
    with Client() as client:
        return b"".join(client.decode_stream([stream(segments=SEGMENTS)]))


def test_a_decoder_with_one_place_and_no_line_loses_no_stream_and_seldom_refuses(wanted):
    with shared("--running", "1", "--waiting", "0") as (decoder, gateways):
        assert decoded(gateways, stream(segments=SEGMENTS)) == 2 * STREAMS * [wanted]
        assert (decoder.metric(REFUSED) or 0) < 2 * STREAMS * SEGMENTS / 2  # a place for each would be two


def test_a_decoder_that_has_a_place_for_each_gateway_hardly_refuses_once_they_know(wanted):
    with shared("--running", "2", "--waiting", "2") as (decoder, gateways):
        decoded(gateways, stream(segments=SEGMENTS))
        until_now = decoder.metric(REFUSED) or 0
        assert decoded(gateways, stream(segments=SEGMENTS)) == 2 * STREAMS * [wanted]
        # A gateway has a segment whole before its place is free: the next may come a moment too early.
        assert (decoder.metric(REFUSED) or 0) - until_now < 2 * STREAMS * SEGMENTS / 4
