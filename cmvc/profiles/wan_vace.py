"""``wan-vace-1.3b``: Wan2.1-VACE-1.3B, the default on a GPU.

Most of its memory is the text encoder; with group offload it takes 6 GiB.
"""

from fractions import Fraction

from cmvc.profiles.profile import FrameRule, ModelProfile, NativeGrid, TritonConfig
from cmvc.profiles.weights import FAST_VAE, GitFile, Licence, Weights
from cmvc.v1 import common_pb2

FAST_VAE_FILE = "safetensors/taew2_1.safetensors"
_MIT = Licence("MIT", "keep its notice", "https://github.com/madebyollin/taehv/blob/main/LICENSE")
_APACHE = Licence("Apache-2.0", "keep its notices", "https://www.apache.org/licenses/LICENSE-2.0")

PROFILE = ModelProfile(
    id="wan-vace-1.3b",
    revision="2",  # 1: captions cut at 226 tokens
    modes=(common_pb2.MODE_TT2V, common_pb2.MODE_IT2V, common_pb2.MODE_VT2V, common_pb2.MODE_CODED),
    grid=NativeGrid(
        pixels=480 * 832,
        side_multiple=16,
        frames=FrameRule(multiple=4, offset=1, least=5, most=81),
        frame_rate=Fraction(16),
        overlap=5,
    ),
    steps=30,
    sampler_steps={"lcm": 4, "dmd": 4},  # for adapters that cut them
    text_tokens=512,  # as it was trained on, padding included; the default of diffusers' encode_prompt is 226
    vram_gib=10,
    weights=(
        Weights(
            "pipeline",
            "Wan-AI/Wan2.1-VACE-1.3B-diffusers",
            "ec4d2cb062b548996b179d493fdd05340de702a1",
            (
                "model_index.json",
                "scheduler/scheduler_config.json",
                "text_encoder/config.json",
                "text_encoder/model-*.safetensors",
                "text_encoder/model.safetensors.index.json",
                "tokenizer/*.json",
                "tokenizer/spiece.model",
                "transformer/config.json",
                "transformer/diffusion_pytorch_model-*.safetensors",
                "transformer/diffusion_pytorch_model.safetensors.index.json",
                "vae/config.json",
                "vae/diffusion_pytorch_model.safetensors",
            ),
            19_040_000_000,
            _APACHE,
            "the whole pipeline; 11.4 GB of it are the text encoder",
        ),
        Weights(
            FAST_VAE,
            "madebyollin/taehv",
            "0ad83bb8fdc48e9e94138704e939d500a3b43660",
            (FAST_VAE_FILE,),
            22_642_902,
            _MIT,
            "a fast decoder of latents, for vae=fast",
            optional=True,
            on_github=(GitFile(FAST_VAE_FILE, 22_642_902, "ec1a2be453a250aa406e912bb630c34463ba0b2f"),),
        ),
    ),
    made=(),
    triton=TritonConfig(max_queue_size=8, instances=1),
    mixes=True,  # to VACE all that is given is a video and a mask
)
