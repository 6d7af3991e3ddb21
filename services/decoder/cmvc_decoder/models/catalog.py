"""What each profile needs: repositories pinned to a commit, files, sizes, licences and memory.

Facts were read from the repositories' pages and from public code that pins the same commits. Sizes are rounded; the
exact ones, with every file's SHA-256, come with the first pull and stay in the store (``cmvc_decoder.models.store``).
"""

from dataclasses import dataclass

from cmvc.errors import UnknownProfileError


@dataclass(frozen=True)
class Licence:
    """Terms of weights.

    Attributes:
        name: SPDX identifier where there is one.
        terms: what it asks for or forbids, in one sentence; the text at ``url`` is what counts.
        url: where the terms are.
    """

    name: str
    terms: str
    url: str


@dataclass(frozen=True)
class Weights:
    """One folder of the store, as it comes from one repository.

    Attributes:
        name: of the folder: ``<store>/<profile id>/<name>``.
        repo: ``owner/name`` on the hub.
        revision: commit, 40 hexadecimal digits.
        files: patterns of the paths needed; ``*`` matches ``/`` too. Each has to match.
        size: of all of them, in bytes, about.
        licence: terms of these files.
        purpose: what they are for.
        optional: whether the profile works without.
    """

    name: str
    repo: str
    revision: str
    files: tuple[str, ...]
    size: int
    licence: Licence
    purpose: str
    optional: bool = False


@dataclass(frozen=True)
class ProfileModels:
    """All that a profile loads.

    Attributes:
        id: of the profile.
        vram_gib: GPU memory that it takes at its native size in bfloat16 or float16, about, in GiB.
        weights: what is downloaded.
        made: folders that ``cmvc_decoder.models.convert`` makes from it.
    """

    id: str
    vram_gib: int
    weights: tuple[Weights, ...]
    made: tuple[str, ...] = ()

    def chosen(self, optional: bool) -> tuple[Weights, ...]:
        """Return the weights that it needs, and those that it can use as well if ``optional``."""
        return tuple(each for each in self.weights if optional or not each.optional)


_HUB = "https://huggingface.co"

_APACHE = Licence("Apache-2.0", "keep its notices", "https://www.apache.org/licenses/LICENSE-2.0")
_SD = Licence(
    "CreativeML-OpenRAIL-M",
    "commercial use is allowed, the uses of its Attachment A are not, and whoever gets the model or a service made of "
    "it is to be bound by them too",
    f"{_HUB}/spaces/CompVis/stable-diffusion-license",
)
_ANIMATEDIFF = Licence(
    "Apache-2.0",
    "the authors state it in guoyww/animatediff, the converted copies used here state none; their disclaimer calls the "
    "release academic; the terms of the Stable Diffusion beneath hold as well",
    f"{_HUB}/guoyww/animatediff",
)
_ANIMATELCM = Licence(
    "not stated",
    "we found no licence in the repository: ask the authors before you do more than try it out",
    f"{_HUB}/wangfuyun/AnimateLCM",
)
_LTX_095 = Licence(
    "OpenRAIL-M",
    "only the text encoder (Google's T5 v1.1 XXL, which is Apache-2.0), its tokenizer and configurations are used",
    f"{_HUB}/Lightricks/LTX-Video-0.9.5",
)
_LTX = Licence(
    "LTX-Video Open Weights 0.X",
    "the uses of its Attachment A are forbidden and made content has to be labelled as such; readers disagree whether "
    "companies with 10 million US dollars of revenue a year need another licence: read it if you are one",
    f"{_HUB}/Lightricks/LTX-Video/blob/main/LTX-Video-Open-Weights-License-0.X.txt",
)
_VIDEOCRAFTER = Licence(
    "Apache-2.0 or research only",
    "the hub says Apache-2.0, the authors' code repository says personal, research and non-commercial use only: for "
    "anything else ask the authors",
    "https://github.com/AILab-CVC/VideoCrafter",
)

_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_SD15_REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
_ANIMATELCM_REPO = "wangfuyun/AnimateLCM"
_ANIMATELCM_REVISION = "3d4d00fc113225e1040f4d3bec504b6ec750c10c"
LTX_CHECKPOINT = "ltxv-2b-0.9.8-distilled.safetensors"

_WAN_VACE = ProfileModels(
    "wan-vace-1.3b",
    10,
    (
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
    ),
)

_LTX_VIDEO = ProfileModels(
    "ltx-video",
    16,
    (
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
            (LTX_CHECKPOINT,),
            6_340_744_492,
            _LTX,
            "transformer and VAE of 2B 0.9.8 distilled, which is published as a single file only",
        ),
    ),
    made=("pipeline",),
)

_ANIMATEDIFF_MODELS = ProfileModels(
    "animatediff",
    8,
    (
        Weights(
            "base",
            _SD15,
            _SD15_REVISION,
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
            _SD,
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
            ("AnimateLCM_sd15_t2v_lora.safetensors",),
            135_000_000,
            _ANIMATELCM,
            "pictures in few steps (AnimateLCM)",
            optional=True,
        ),
    ),
)

_VIDEOCRAFTER2 = ProfileModels(
    "videocrafter2",
    8,
    (
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
            _SD15,
            _SD15_REVISION,
            ("tokenizer/vocab.json", "tokenizer/merges.txt"),
            1_600_000,
            _SD,
            "CLIP's vocabulary, which its text encoder shares",
        ),
    ),
    made=("base", "unet"),
)

CATALOG = {each.id: each for each in (_WAN_VACE, _LTX_VIDEO, _ANIMATEDIFF_MODELS, _VIDEOCRAFTER2)}


def models_of(profile_id: str) -> ProfileModels:
    """Return what a profile needs.

    Raises:
        UnknownProfileError: it is not known, or needs no weights.
    """
    try:
        return CATALOG[profile_id]
    except KeyError:
        raise UnknownProfileError(
            f"there are no models for '{profile_id}'; profiles with models: {', '.join(CATALOG)}"
        ) from None
