"""``swiftvr``: SwiftVR on Wan2.2-TI2V-5B, which restores a low-rate video in one step and reads no text.

10 GiB of its memory are the denoiser in bfloat16.
"""

from fractions import Fraction

from cmvc.profiles.profile import FrameRule, ModelProfile, NativeGrid, TritonConfig
from cmvc.profiles.weights import Licence, Weights
from cmvc.v1 import common_pb2

TRANSFORMER = "transformer"
AUTOENCODER = "reae.safetensors"
PROMPT = "prompt_embedding.safetensors"
_APACHE = Licence("Apache-2.0", "keep its notices", "https://www.apache.org/licenses/LICENSE-2.0")

PROFILE = ModelProfile(
    id="swiftvr",
    revision="1",
    modes=(common_pb2.MODE_VT2V, common_pb2.MODE_CODED),
    grid=NativeGrid(
        pixels=720 * 1280,
        side_multiple=32,
        frames=FrameRule(multiple=4, offset=1, least=1, most=453),  # a segment of 10 s at 45/s, in chunks of 24
        frame_rate=Fraction(30),
        overlap=5,
        upscales=False,
        chunks_by=28 + 24 + 1,
    ),
    steps=1,
    text_tokens=0,
    vram_gib=16,
    weights=(
        Weights(
            "checkpoint",
            "H-oliday/SwiftVR",
            "743ed2530c550764905400f38eb6cc41af5abc80",
            (
                AUTOENCODER,
                PROMPT,
                f"{TRANSFORMER}/config.json",
                f"{TRANSFORMER}/diffusion_pytorch_model.safetensors",
            ),
            20_170_000_000,
            _APACHE,
            "denoiser (in float32), autoencoder and the embedding of the one prompt that it was trained with",
        ),
    ),
    made=(),
    triton=TritonConfig(max_queue_size=8, instances=1),
)
