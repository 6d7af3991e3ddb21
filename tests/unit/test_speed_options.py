"""Speed options as an operator writes them."""

import subprocess
import sys

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


def test_options_need_no_torch():
    code = "import sys; sys.modules['torch'] = None; import cmvc_decoder.speed.options"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
