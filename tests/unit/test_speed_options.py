"""Speed options as an operator writes them."""

import subprocess
import sys
from importlib import import_module

import pytest

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.options import SpeedOptions, read_speed


def test_all_options_are_read():
    texts = (
        "device=cuda dtype=bfloat16 vae_dtype=float32 attention=flash compile=regional tiling=on offload=group batch=4"
    )

    assert read_speed(texts.split()) == SpeedOptions(
        "cuda", "bfloat16", "float32", "flash", compile="regional", tiling=True, offload="group", batch=4
    )


@pytest.mark.parametrize(
    "text", ["dtype=int8", "vae_dtype=fast", "compile=on", "offload=disk", "tiling=1", "batch=0", "batch=65", "speed=9"]
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(InvalidSettingError, match=r"known|within"):
        read_speed([text])


@pytest.mark.parametrize(
    ("gpu", "texts", "device", "dtype"),
    [
        (True, [], "cuda", "bfloat16"),
        (False, [], "cpu", "float32"),
        (True, ["device=cpu"], "cpu", "float32"),
        (True, ["dtype=float16"], "cuda", "float16"),
        (False, ["device=cuda:1"], "cuda:1", "bfloat16"),
    ],
)
def test_what_is_left_open_is_what_the_machine_does_best(monkeypatch, gpu, texts, device, dtype):
    pytest.importorskip("torch", reason="the diffusion profiles are not installed")
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    options = import_module("cmvc_decoder.speed.device").on_this_machine(read_speed(texts))
    assert (options.device, options.dtype) == (device, dtype)


def test_options_need_no_torch():
    code = "import sys; sys.modules['torch'] = None; import cmvc_decoder.speed.options"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
