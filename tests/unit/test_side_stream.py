"""The stream in which latents are decoded."""

import pytest

pytest.importorskip("torch", reason="the diffusion profiles are not installed")

import torch

from cmvc_decoder.speed.streams import SideStream


def test_a_device_without_streams_goes_on_as_it_is():
    side = SideStream("cpu")
    with side.after(side.mark()):
        assert torch.ones(3).sum() == 3


def test_what_a_block_raises_comes_out():
    side = SideStream("cpu")
    with pytest.raises(TimeoutError), side.after(side.mark()):
        raise TimeoutError


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_block_sees_what_stood_before_its_mark_and_is_done_when_it_ends():
    side = SideStream("cuda")
    torch.cuda._sleep(1_000_000_000)  # cycles: what follows is far from done when the block begins
    latents = torch.ones(1 << 20, device="cuda") + 1
    with side.after(side.mark()):
        assert torch.cuda.current_stream() == side._stream
        made = latents * 3
    assert side._stream.query()
    assert torch.cuda.current_stream() != side._stream
    assert bool((made == 6).all())
