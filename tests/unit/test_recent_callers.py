"""Who shares a decoder, and how its places are shared."""

import pytest

from cmvc.v1.decoder_pb2 import VideoDecoderGetCapabilitiesResponse as Capabilities
from cmvc_decoder import recent
from cmvc_decoder.recent import RecentCallers
from cmvc_gateway.spread import LEAST_AHEAD, segments_given


def test_callers_count_while_they_have_work_and_a_little_longer(monkeypatch):
    callers = RecentCallers()
    assert callers.count(with_one="a") == 1
    with callers.working("a"), callers.working("a"), callers.working("b"):
        assert callers.count(with_one="a") == 2
        assert callers.count(with_one="c") == 3
    assert callers.count(with_one="a") == 2
    monkeypatch.setattr(recent, "RECENT_SECONDS", 0.0)
    assert callers.count(with_one="a") == 1
    with callers.working("b"):
        assert callers.count(with_one="a") == 2


@pytest.mark.parametrize("running", [1, 2, 3, 8])
@pytest.mark.parametrize("waiting", [0, 1, 2, 16])
@pytest.mark.parametrize("callers", [1, 2, 3, 5])
def test_gateways_together_do_not_overrun_a_decoder_that_has_a_place_for_each(running, waiting, callers):
    given = segments_given(Capabilities(segments_at_once=running, segments_waiting=waiting, callers=callers))
    assert given >= 1
    assert given * callers <= running + waiting or running + waiting < callers
    if waiting >= callers:
        assert given * callers >= running  # none of its places idles


def test_a_decoder_that_does_not_tell_is_given_one_more_than_it_works_on():
    assert segments_given(None) == LEAST_AHEAD
    assert segments_given(Capabilities()) == 2
    assert segments_given(Capabilities(segments_at_once=3)) == 4
