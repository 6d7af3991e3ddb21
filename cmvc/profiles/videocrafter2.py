"""``videocrafter2``: VideoCrafter2 at 320x512, as in the paper.

3.4 GiB of its memory are weights in float16. Of the licence see docs/videocrafter2.md.
"""

from fractions import Fraction

from cmvc.profiles import stable_diffusion
from cmvc.profiles.profile import FrameRule, ModelProfile, NativeGrid, TritonConfig
from cmvc.profiles.weights import Licence, Weights
from cmvc.v1 import common_pb2

_VIDEOCRAFTER = Licence(
    "Apache-2.0 or research only",
    "the hub says Apache-2.0, the authors' code repository says personal, research and non-commercial use only: for "
    "anything else ask the authors",
    "https://github.com/AILab-CVC/VideoCrafter",
)

PROFILE = ModelProfile(
    id="videocrafter2",
    revision="1",
    modes=(common_pb2.MODE_TT2V, common_pb2.MODE_CODED),
    grid=NativeGrid(
        pixels=320 * 512,
        side_multiple=64,
        frames=FrameRule(multiple=1, offset=0, least=16, most=16),  # all that the temporal layers were trained on
        frame_rate=Fraction(8),
        overlap=4,
    ),
    steps=50,
    text_tokens=77,
    vram_gib=8,
    weights=(
        Weights(
            "checkpoint",
            "VideoCrafter/VideoCrafter2",
            "7b4079838622fcba3fc2c9575210df3ed1cb8d69",
            ("model.ckpt",),
            7_400_000_000,
            _VIDEOCRAFTER,
            "denoiser, VAE and text encoder in the authors' own format; read as weights alone, never run",
        ),
        Weights(
            "tokenizer",
            stable_diffusion.REPO,
            stable_diffusion.REVISION,
            ("tokenizer/vocab.json", "tokenizer/merges.txt"),
            1_600_000,
            stable_diffusion.LICENCE,
            "CLIP's vocabulary, which its text encoder shares",
        ),
    ),
    made=("base", "unet"),
    triton=TritonConfig(max_queue_size=8, instances=1),
)
