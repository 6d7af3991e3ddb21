"""A work that is stopped late, while its frames are restored, leaves the others of its batch alone."""

import pytest

pytest.importorskip("diffusers", reason="the diffusion profiles are not installed")

import tiny_models
from profile_streams import FRAMES, requests, stream
from together import together

from cmvc.control import Control
from cmvc.errors import CancelledError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.media.picture import Picture
from cmvc_decoder.conditions import read_conditions
from cmvc_decoder.generators.registry import make_generator
from cmvc_decoder.speed.options import read_speed

PROFILE = "wan-vace-1.3b"


@pytest.mark.parametrize("mode", ["tt2v", "coded"])
def test_the_other_gets_all_its_frames(tmp_path, mode):
    tiny_models.store(tmp_path, PROFILE)
    generator = make_generator(PROFILE, tmp_path, read_speed(["batch=2"]))
    (request,) = requests(stream(PROFILE, "tt2v"))
    (first,) = requests(stream(PROFILE, mode))
    for each in (request, first):
        each.profile.settings["steps"] = "1"
    stopped = Control()
    works = [(read_conditions(first, DEFAULT_LIMITS), stopped), (read_conditions(request, DEFAULT_LIMITS), Control())]
    items = {0: [], 1: []}
    for number, item in together(generator, works):
        items[number].append(item)
        if number == 0 and isinstance(item, Picture):
            stopped.cancel()
    assert isinstance(items[0][-1], CancelledError)
    assert 1 <= sum(isinstance(item, Picture) for item in items[0]) < FRAMES  # a few were made ahead
    assert sum(isinstance(item, Picture) for item in items[1]) == FRAMES
