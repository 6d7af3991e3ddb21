"""``ltx-video``: LTX-Video 2B 0.9.8 distilled, the fastest.

Of its memory the text encoder takes 9 GiB; with group offload the whole takes 6.
"""

from fractions import Fraction

from cmvc.profiles.profile import FrameRule, ModelProfile, NativeGrid, TritonConfig
from cmvc.profiles.weights import HUB, Licence, Weights
from cmvc.v1 import common_pb2

CHECKPOINT = "ltxv-2b-0.9.8-distilled.safetensors"
_LTX_095 = Licence(
    "OpenRAIL-M",
    "only the text encoder (Google's T5 v1.1 XXL, which is Apache-2.0), its tokenizer and configurations are used",
    f"{HUB}/Lightricks/LTX-Video-0.9.5",
)
_LTX = Licence(
    "LTX-Video Open Weights 0.X",
    "the uses of its Attachment A are forbidden and made content has to be labelled as such; readers disagree whether "
    "companies with 10 million US dollars of revenue a year need another licence: read it if you are one",
    f"{HUB}/Lightricks/LTX-Video/blob/main/LTX-Video-Open-Weights-License-0.X.txt",
)

PROFILE = ModelProfile(
    id="ltx-video",
    revision="1",
    modes=(common_pb2.MODE_TT2V, common_pb2.MODE_IT2V, common_pb2.MODE_CODED),
    grid=NativeGrid(
        pixels=512 * 768,
        side_multiple=32,
        frames=FrameRule(multiple=8, offset=1, least=9, most=121),
        frame_rate=Fraction(24),
        overlap=9,
    ),
    steps=8,
    text_tokens=256,
    vram_gib=16,
    weights=(
        Weights(
            "text",
            "Lightricks/LTX-Video-0.9.5",
            "e58e28c39631af4d1468ee57a853764e11c1d37e",
            (
                "model_index.json",
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "text_encoder/model-*.safetensors",
                "text_encoder/model.safetensors.index.json",
                "tokenizer/*.json",
                "tokenizer/spiece.model",
                "transformer/config.json",
                "vae/config.json",
            ),
            19_050_000_000,
            _LTX_095,
            "text encoder (T5 v1.1 XXL in float32), tokenizer, and the configurations of this architecture",
        ),
        Weights(
            "checkpoint",
            "Lightricks/LTX-Video",
            "8984fa25007f376c1a299016d0957a37a2f797bb",
            (CHECKPOINT,),
            6_340_744_492,
            _LTX,
            "transformer and VAE of 2B 0.9.8 distilled, which is published as a single file only",
        ),
    ),
    made=("pipeline",),
    triton=TritonConfig(max_queue_size=8, instances=1),
)
