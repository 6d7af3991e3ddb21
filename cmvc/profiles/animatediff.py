"""``animatediff``: AnimateDiff v3 and SparseCtrl on Stable Diffusion 1.5, as in the paper; AnimateLCM for few steps.

Where AnimateLCM is installed it takes 3 GiB more.
"""

from fractions import Fraction

from cmvc.profiles import stable_diffusion
from cmvc.profiles.profile import FrameRule, ModelProfile, NativeGrid, TritonConfig
from cmvc.profiles.weights import HUB, Licence, Weights
from cmvc.v1 import common_pb2

LCM_LORA_FILE = "AnimateLCM_sd15_t2v_lora.safetensors"
_ANIMATELCM_REPO = "wangfuyun/AnimateLCM"
_ANIMATELCM_REVISION = "3d4d00fc113225e1040f4d3bec504b6ec750c10c"
_ANIMATEDIFF = Licence(
    "Apache-2.0",
    "the authors state it in guoyww/animatediff, the converted copies used here state none; their disclaimer calls the "
    "release academic; the terms of the Stable Diffusion beneath hold as well",
    f"{HUB}/guoyww/animatediff",
)
_ANIMATELCM = Licence(
    "not stated",
    "we found no licence in the repository: ask the authors before you do more than try it out",
    f"{HUB}/wangfuyun/AnimateLCM",
)

PROFILE = ModelProfile(
    id="animatediff",
    revision="1",
    modes=(common_pb2.MODE_TT2V, common_pb2.MODE_IT2V, common_pb2.MODE_CODED),
    grid=NativeGrid(
        pixels=512 * 512,
        side_multiple=64,
        frames=FrameRule(multiple=1, offset=0, least=8, most=16),  # trained on 16
        frame_rate=Fraction(8),
        overlap=4,
    ),
    steps=25,
    text_tokens=77,
    vram_gib=8,
    weights=(
        Weights(
            "base",
            stable_diffusion.REPO,
            stable_diffusion.REVISION,
            (
                "model_index.json",
                "feature_extractor/preprocessor_config.json",
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "text_encoder/model.safetensors",
                "tokenizer/*.json",
                "tokenizer/merges.txt",
                "unet/config.json",
                "unet/diffusion_pytorch_model.safetensors",
                "vae/config.json",
                "vae/diffusion_pytorch_model.safetensors",
            ),
            4_270_000_000,
            stable_diffusion.LICENCE,
            "Stable Diffusion 1.5, which makes the pictures",
        ),
        Weights(
            "motion-adapter",
            "guoyww/animatediff-motion-adapter-v1-5-3",
            "2e8139b1d1269fd8a21deb96ad19455e187692eb",
            ("config.json", "diffusion_pytorch_model.safetensors"),
            1_670_000_000,
            _ANIMATEDIFF,
            "motion between the pictures",
        ),
        Weights(
            "sparsectrl-rgb",
            "guoyww/animatediff-sparsectrl-rgb",
            "b8003d681d813c095e459b9141122894daff2d13",
            ("config.json", "diffusion_pytorch_model.safetensors"),
            1_990_000_000,
            _ANIMATEDIFF,
            "keyframes (IT2V)",
        ),
        Weights(
            "lcm-motion-adapter",
            _ANIMATELCM_REPO,
            _ANIMATELCM_REVISION,
            ("config.json", "diffusion_pytorch_model.safetensors"),
            1_820_000_000,
            _ANIMATELCM,
            "motion in few steps (AnimateLCM)",
            optional=True,
        ),
        Weights(
            "lcm-lora",
            _ANIMATELCM_REPO,
            _ANIMATELCM_REVISION,
            (LCM_LORA_FILE,),
            135_000_000,
            _ANIMATELCM,
            "pictures in few steps (AnimateLCM)",
            optional=True,
        ),
    ),
    made=(),
    triton=TritonConfig(max_queue_size=8, instances=1),
)
