"""The real models' architectures, built without memory: their sizes, and every name of the authors' own layouts."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from diffusers.loaders import single_file_utils as conversions
from safetensors.torch import load_file, save_file

from benchmarks.gpu.architectures import build, components, on_meta, profiles
from benchmarks.gpu.architectures.pipelines import random_pipeline
from benchmarks.gpu.architectures.tiny import shrunk
from benchmarks.gpu.architectures.weights import random_model
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.generators.registry import IMPLEMENTATIONS
from cmvc_decoder.generators.videocrafter2 import checkpoint
from cmvc_decoder.generators.videocrafter2.names import renamed, vae_names

# Parameters, names in a state dict, and the first half of the SHA-256 of its sorted lines "name HxW".
OURS = {
    ("animatediff", "lcm_motion_adapter"): (453_209_280, 567, "df0ca8303744d771d9880a267995de8f"),
    ("animatediff", "motion_adapter"): (417_137_600, 540, "277cab21128866e366bb3d9587c257b9"),
    ("animatediff", "sparsectrl_rgb"): (496_730_880, 486, "29f23e23fb6ee259cb1ea6f496732d7f"),
    ("animatediff", "text_encoder"): (123_060_480, 196, "6b29278da9b797cc1662962a74ed0304"),
    ("animatediff", "unet"): (859_520_964, 686, "a86ffab7c6f1ad19b0dd78fcf9eaf2a3"),
    ("animatediff", "vae"): (83_653_863, 248, "0afb81fba3b73b60202b280b4d2850d6"),
    ("ltx-video", "text_encoder"): (4_762_310_656, 220, "26e2b8f415ab86ac6c0ab4ed32d336d0"),
    ("ltx-video", "transformer"): (1_923_385_472, 715, "bed88b3e1842f076d992d061a4da0f01"),
    ("ltx-video", "vae"): (1_246_913_522, 226, "50a12f81f061ab274be96a121965f865"),
    ("swiftvr", "transformer"): (4_999_787_712, 825, "853466a84756f93362d9a10890de4867"),
    ("swiftvr", "vae"): (40_946_364, 128, "dd003a0d5a6b1de74d9fc0b3b90c8abc"),
    ("videocrafter2", "text_encoder"): (340_387_840, 372, "6b8a7280ebfcdacc1440aca1bb74af74"),
    ("videocrafter2", "unet"): (1_413_284_420, 1484, "700c66a4cb4181e8022961a741a7dac6"),
    ("videocrafter2", "vae"): (83_653_863, 248, "0afb81fba3b73b60202b280b4d2850d6"),
    ("wan-vace-1.3b", "text_encoder"): (5_680_910_336, 243, "083045e69449a32362f309b09f9278d8"),
    ("wan-vace-1.3b", "transformer"): (2_153_972_032, 1264, "63b01d09478130269e080d4bde3c2783"),
    ("wan-vace-1.3b", "vae"): (126_892_531, 194, "e4846f12238ae66790654022a66e7383"),
}

# From our names to the authors': patterns, replaced one after the other.
WAN_TRANSFORMER = [
    (r"^condition_embedder\.(time|text)_embedder\.linear_1", r"\1_embedding.0"),
    (r"^condition_embedder\.(time|text)_embedder\.linear_2", r"\1_embedding.2"),
    (r"^condition_embedder\.time_proj", "time_projection.1"),
    (r"^scale_shift_table", "head.modulation"),
    (r"^proj_out", "head.head"),
    (r"scale_shift_table", "modulation"),
    (r"\.proj_in\.", ".before_proj."),
    (r"\.proj_out\.", ".after_proj."),
    (r"\.norm2\.", ".norm3."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."),
]
WAN_VAE = [
    (r"^quant_conv", "conv1"),
    (r"^post_quant_conv", "conv2"),
    (r"coder\.conv_in\.", "coder.conv1."),
    (r"coder\.norm_out\.", "coder.head.0."),
    (r"coder\.conv_out\.", "coder.head.2."),
    (r"mid_block\.resnets\.(\d)", lambda found: f"middle.{2 * int(found[1])}"),
    (r"mid_block\.attentions\.0", "middle.1"),
    (r"down_blocks", "downsamples"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda found: f"upsamples.{4 * int(found[1]) + int(found[2])}"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda found: f"upsamples.{4 * int(found[1]) + 3}"),
    (r"(samples|middle)\.(\d+)\.norm1\.", r"\1.\2.residual.0."),
    (r"(samples|middle)\.(\d+)\.conv1\.", r"\1.\2.residual.2."),
    (r"(samples|middle)\.(\d+)\.norm2\.", r"\1.\2.residual.3."),
    (r"(samples|middle)\.(\d+)\.conv2\.", r"\1.\2.residual.6."),
    (r"\.conv_shortcut\.", ".shortcut."),
]
WAN_TEXT = [
    (r"^shared", "token_embedding"),
    (r"^encoder\.final_layer_norm", "norm"),
    (r"^encoder\.block\.(\d+)\.", r"blocks.\1."),
    (r"layer\.0\.layer_norm", "norm1"),
    (r"layer\.1\.layer_norm", "norm2"),
    (r"layer\.0\.SelfAttention\.relative_attention_bias", "pos_embedding.embedding"),
    (r"layer\.0\.SelfAttention", "attn"),
    (r"layer\.1\.DenseReluDense\.wi_0", "ffn.gate.0"),  # the one with the activation
    (r"layer\.1\.DenseReluDense\.wi_1", "ffn.fc1"),
    (r"layer\.1\.DenseReluDense\.wo", "ffn.fc2"),
]
LTX_TRANSFORMER = [
    (r"^proj_in", "patchify_proj"),
    (r"^time_embed", "adaln_single"),
    (r"\.norm_([qk])\.", r".\1_norm."),
]
LTX_VAE = [
    (r"^decoder\.(time_embedder|scale_shift_table)", r"decoder.last_\1"),
    (r"^decoder\.up_blocks\.(\d)\.upsamplers\.0", lambda found: f"decoder.up_blocks#{2 * int(found[1]) + 1}"),
    (r"^decoder\.up_blocks\.(\d)", lambda found: f"decoder.up_blocks#{2 * int(found[1]) + 2}"),
    (r"^decoder\.mid_block", "decoder.up_blocks.0"),
    (r"^encoder\.down_blocks\.(\d)\.downsamplers\.0", lambda found: f"encoder.down_blocks#{2 * int(found[1]) + 1}"),
    (r"^encoder\.down_blocks\.(\d)", lambda found: f"encoder.down_blocks#{2 * int(found[1])}"),
    (r"^encoder\.mid_block", "encoder.down_blocks.8"),
    (r"#", "."),
    (r"\.resnets\.", ".res_blocks."),
]
MOTION = [
    (r"(motion_modules\.\d)\.", r"\1.temporal_transformer."),
    (r"(temporal_transformer.*)\.attn1\.", r"\1.attention_blocks.0."),
    (r"(temporal_transformer.*)\.attn2\.", r"\1.attention_blocks.1."),
    (r"(temporal_transformer.*)\.norm1\.", r"\1.norms.0."),
    (r"(temporal_transformer.*)\.norm2\.", r"\1.norms.1."),
    (r"(temporal_transformer.*)\.norm3\.", r"\1.ff_norm."),
]
SD_UNET = [
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.resnets\.(\d)", lambda found: f"middle_block.{2 * int(found[1])}"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^down_blocks\.(\d)\.downsamplers\.0\.conv", lambda found: f"input_blocks.{3 * int(found[1]) + 3}.0.op"),
    (r"^down_blocks\.(\d)\.resnets\.(\d)", lambda found: f"input_blocks.{3 * int(found[1]) + int(found[2]) + 1}.0"),
    (r"^down_blocks\.(\d)\.attentions\.(\d)", lambda found: f"input_blocks.{3 * int(found[1]) + int(found[2]) + 1}.1"),
    (r"^up_blocks\.0\.upsamplers\.0", "output_blocks.2.1"),  # the only one without attention before it
    (r"^up_blocks\.(\d)\.upsamplers\.0", lambda found: f"output_blocks.{3 * int(found[1]) + 2}.2"),
    (r"^up_blocks\.(\d)\.resnets\.(\d)", lambda found: f"output_blocks.{3 * int(found[1]) + int(found[2])}.0"),
    (r"^up_blocks\.(\d)\.attentions\.(\d)", lambda found: f"output_blocks.{3 * int(found[1]) + int(found[2])}.1"),
    (r"(blocks\.\d+\.0|middle_block\.[02])\.norm1\.", r"\1.in_layers.0."),
    (r"(blocks\.\d+\.0|middle_block\.[02])\.conv1\.", r"\1.in_layers.2."),
    (r"(blocks\.\d+\.0|middle_block\.[02])\.time_emb_proj\.", r"\1.emb_layers.1."),
    (r"(blocks\.\d+\.0|middle_block\.[02])\.norm2\.", r"\1.out_layers.0."),
    (r"(blocks\.\d+\.0|middle_block\.[02])\.conv2\.", r"\1.out_layers.3."),
    (r"\.conv_shortcut\.", ".skip_connection."),
]
CLIP = [
    (r"^embeddings\.token_embedding", "token_embedding"),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^final_layer_norm", "ln_final"),
    (r"^encoder\.layers", "transformer.resblocks"),
    (r"\.layer_norm(\d)\.", r".ln_\1."),
    (r"\.self_attn\.[qkv]_proj\.", ".attn.in_proj_"),  # theirs is one weight
    (r"\.self_attn\.", ".attn."),
    (r"\.fc1\.", ".c_fc."),
    (r"\.fc2\.", ".c_proj."),
]


def by(rules):
    def rename(name, _config):
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        return name

    return rename


def sd_vae(name, config):
    return renamed(name, {ours: theirs for theirs, ours in vae_names(config).items()})


@dataclass(frozen=True)
class Public:
    """A layout that the authors' code builds, measured once from that code.

    Attributes:
        rename: from our names to theirs.
        names: in their layout, without what they have and we do not use.
        digest: of its lines.
        ours_alone: pattern of our names that their layout has not.
        convolutions: pattern of their names that are convolutions of one element where ours are linear layers.
        convert: diffusers' own way from their names to ours, where it has one.
        prefix: that such a conversion expects.
    """

    rename: Callable
    names: int
    digest: str
    ours_alone: str = "^$"
    convolutions: str = "^$"
    convert: Callable | None = None
    prefix: str = ""


PUBLIC = {
    # Wan-Video/Wan2.1 at 9737cba9c1c3: wan/modules/vace_model.py, vae.py, t5.py
    ("wan-vace-1.3b", "transformer"): Public(
        by(WAN_TRANSFORMER),
        1264,
        "0755200d4894a3fb13fed9744f8498e0",
        convert=conversions.convert_wan_transformer_to_diffusers,
    ),
    ("wan-vace-1.3b", "vae"): Public(
        by(WAN_VAE),
        194,
        "c9ff6f602a116974f2e5be0d25dce12f",
        convert=conversions.convert_wan_vae_to_diffusers,
    ),
    ("wan-vace-1.3b", "text_encoder"): Public(
        by(WAN_TEXT),
        242,
        "b499e194886bdf8043f9e40494c14bd3",
        ours_alone=r"embed_tokens",  # the same weight as shared
    ),
    # Lightricks/LTX-Video at 5260738e1719: ltx_video/models
    ("ltx-video", "transformer"): Public(
        by(LTX_TRANSFORMER),
        715,
        "77790c283aa1f8354ac3d0a0476375d2",
        convert=conversions.convert_ltx_transformer_checkpoint_to_diffusers,
        prefix="model.diffusion_model.",
    ),
    ("ltx-video", "vae"): Public(
        by(LTX_VAE),
        224,
        "4555dd560647c5a47b8dc60538b21665",
        ours_alone=r"^latents_",  # in the checkpoint, and not built by the code: per_channel_statistics
        convert=conversions.convert_ltx_vae_checkpoint_to_diffusers,
        prefix="vae.",
    ),
    # guoyww/AnimateDiff at e92bd5671ba6: configs/inference/inference-v3.yaml, inference-v2.yaml (which AnimateLCM's
    # equals), sparsectrl/latent_condition.yaml
    ("animatediff", "motion_adapter"): Public(
        by(MOTION),
        520,
        "f7c53abaa842d17e0696c2b5a6478cd0",
        ours_alone=r"\.pos_embed\.pe$",  # sines, computed
        convert=conversions.convert_animatediff_checkpoint_to_diffusers,
    ),
    ("animatediff", "lcm_motion_adapter"): Public(
        by(MOTION),
        546,
        "94a9a43f7f0796ef5809cd4972712fe8",
        ours_alone=r"\.pos_embed\.pe$",
        convert=conversions.convert_animatediff_checkpoint_to_diffusers,
    ),
    ("animatediff", "sparsectrl_rgb"): Public(
        by(MOTION),
        478,
        "169db6ab88b77cbb246c99ff4a84410b",
        ours_alone=r"\.pos_embed\.pe$",
    ),
    # CompVis/stable-diffusion at 21f890f9da3c: configs/stable-diffusion/v1-inference.yaml
    ("animatediff", "unet"): Public(
        by(SD_UNET),
        686,
        "9f1c63efcc5060efbb54d591f9e3c8f6",
        convert=conversions.convert_ldm_unet_checkpoint,
        prefix="model.diffusion_model.",
    ),
    ("animatediff", "vae"): Public(
        sd_vae,
        248,
        "3f205d47927d415670f61b39b9f4c1ae",
        convolutions=r"attn_1\.(q|k|v|proj_out)\.weight",
        convert=conversions.convert_ldm_vae_checkpoint,
        prefix="first_stage_model.",
    ),
    # H-oliday/SwiftVR at 7cb5de2f1a99: swiftvr/models, whose names are ours
    ("swiftvr", "transformer"): Public(by([]), 825, "853466a84756f93362d9a10890de4867"),
    ("swiftvr", "vae"): Public(by([]), 128, "dd003a0d5a6b1de74d9fc0b3b90c8abc"),
    # openai/CLIP at d05afc436d78: clip/model.py, without the projection and the scale of its scores
    ("animatediff", "text_encoder"): Public(by(CLIP), 148, "837d433c3444be37223567b4d7d745f7"),
}
CONVERTED = [which for which, public in PUBLIC.items() if public.convert]
# Sizes of published files in bytes, bytes of a number in them, what they hold. The rest of a file is its list of names.
FILES = {
    "ltxv-2b-0.9.8-distilled.safetensors": (6_340_744_492, 2, [("ltx-video", "transformer"), ("ltx-video", "vae")]),
    "umt5-xxl-enc-bf16.safetensors": (11_361_845_464, 2, [("wan-vace-1.3b", "text_encoder")]),
    "stable-diffusion-v1-5/unet/diffusion_pytorch_model.non_ema.safetensors": (
        3_438_167_536,
        4,
        [("animatediff", "unet")],
    ),
    "SwiftVR/transformer/diffusion_pytorch_model.safetensors": (19_999_235_584, 4, [("swiftvr", "transformer")]),
    "SwiftVR/reae.safetensors": (163_797_568, 4, [("swiftvr", "vae")]),
}
BYTES_PER_NAME = 60, 200  # name, type, shape, offsets


@cache
def models(profile_id):
    return on_meta(profile_id)


def model(which):
    profile_id, name = which
    return models(profile_id)[name]


@cache
def layout(which):
    return {name: tuple(weight.shape) for name, weight in model(which).state_dict().items()}


def digest(shapes):
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


@cache
def authors_names(which):
    """Return, for each of our names that the authors' layout has, theirs."""
    public, config = PUBLIC[which], model(which).config
    return {name: public.rename(name, config) for name in layout(which) if not re.search(public.ours_alone, name)}


@cache
def authors_layout(which):
    public, shapes = PUBLIC[which], {}
    for name, theirs in authors_names(which).items():
        shape = layout(which)[name]
        if re.search(public.convolutions, theirs):
            shape = (*shape, 1, 1)
        if "in_proj_" in theirs and theirs in shapes:  # query, key and value in one
            shape = (shapes.pop(theirs)[0] + shape[0], *shape[1:])
        assert theirs not in shapes
        shapes[theirs] = shape
    return shapes


def test_every_profile_that_needs_weights_has_its_architecture():
    assert set(profiles()) == set(MODEL_PROFILES)
    assert {(profile, name) for profile in profiles() for name in components(profile)} == set(OURS)


def test_an_unknown_profile_is_named():
    with pytest.raises(FileNotFoundError, match="embedded"):
        components("embedded")


@pytest.mark.parametrize("which", OURS, ids="/".join)
def test_size_and_names_are_the_recorded_ones(which):
    parameters = list(model(which).parameters())
    assert all(weight.is_meta for weight in parameters)
    shapes = layout(which)
    assert (sum(weight.numel() for weight in parameters), len(shapes), digest(shapes)) == OURS[which]


@pytest.mark.parametrize("which", PUBLIC, ids="/".join)
def test_every_name_and_shape_of_the_authors_layout_is_one_of_ours(which):
    shapes = authors_layout(which)
    assert (len(shapes), digest(shapes)) == (PUBLIC[which].names, PUBLIC[which].digest)


@pytest.mark.parametrize("which", CONVERTED, ids="/".join)
def test_diffusers_own_conversion_puts_each_weight_where_our_names_say(which):
    """Two layers of one shape could be taken for each other above; here each weight is known by its value."""
    public, shapes, numbers = PUBLIC[which], authors_layout(which), {}
    weights = {}
    for number, (name, shape) in enumerate(shapes.items()):
        numbers[name] = number
        weights[public.prefix + name] = torch.tensor(float(number)).expand(shape)  # takes no memory
    converted = public.convert(weights, config=dict(model(which).config))
    found = {name: (int(each[(0,) * each.ndim]), tuple(each.shape)) for name, each in converted.items()}
    ours = layout(which)
    assert found == {name: (numbers[theirs], ours[name]) for name, theirs in authors_names(which).items()}


@pytest.mark.parametrize(
    ("name", "wanted"), list(zip(("unet", "vae", "text_encoder"), checkpoint.published(), strict=True))
)
def test_videocrafter2_is_what_the_conversion_of_its_checkpoint_fills(name, wanted):
    assert layout(("videocrafter2", name)) == {key: tuple(weight.shape) for key, weight in wanted.state_dict().items()}


@pytest.mark.parametrize("name", FILES)
def test_published_files_are_as_large_as_the_weights_and_their_names(name):
    size, width, parts = FILES[name]
    names = sum(len(list(model(which).parameters())) for which in parts)
    numbers = sum(OURS[which][0] for which in parts)
    least, most = BYTES_PER_NAME
    assert least * names < size - width * numbers < most * names


@pytest.mark.parametrize("which", [("wan-vace-1.3b", "text_encoder"), ("ltx-video", "text_encoder")], ids="/".join)
def test_a_t5_checkpoint_with_its_words_once_loads_whole(tmp_path, which):
    """Published ones hold ``shared`` alone and say that nothing is tied; the encoder must not keep random words."""
    cls, config = shrunk(components(which[0]))[which[1]]
    build(cls, config).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    words = torch.rand(config["vocab_size"], config["d_model"])
    weights = {name: weight for name, weight in weights.items() if "embed_tokens" not in name} | {
        "shared.weight": words
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded, report = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert torch.equal(loaded.encoder.embed_tokens.weight, words)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]


def test_a_clip_checkpoint_with_the_older_prefix_loads_whole(tmp_path):
    """Stable Diffusion 1.5's names start with ``text_model.``; today's class has no such part."""
    cls, config = shrunk(components("animatediff"))["text_encoder"]
    build(cls, config).save_pretrained(tmp_path)
    weights = {
        f"text_model.{name}": torch.rand_like(weight)
        for name, weight in load_file(tmp_path / "model.safetensors").items()
    }
    places = {"text_model.embeddings.position_ids": torch.arange(config["max_position_embeddings"])[None]}
    save_file(weights | places, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded, report = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert all(torch.equal(weight, weights[f"text_model.{name}"]) for name, weight in loaded.state_dict().items())


def profile(profile_id):
    module, _, name = IMPLEMENTATIONS[profile_id].partition(":")
    return getattr(import_module(f"cmvc_decoder.generators.{module}"), name)()


@cache
def tiny_pipeline(profile_id):
    return random_pipeline(profile_id, "cpu", torch.float32, "tiny")


@pytest.mark.parametrize("profile_id", [each for each, facts in MODEL_PROFILES.items() if facts.reads_text])
@pytest.mark.parametrize("known", [{}, {0: np.full((64, 64, 3), 99, np.uint8)}], ids=["text", "frame"])
def test_a_pipeline_with_random_weights_runs_as_the_profile_runs_it(profile_id, known):
    which = profile(profile_id)
    window = Window(
        prompt="a red fox",
        frames=which.facts.grid.frames.at_least(9),
        width=64,
        height=64,
        frame_rate=Fraction(8),
        noise=torch.Generator().manual_seed(1),
        known=known,
    )
    steps = []
    settings = replace(which.defaults, steps=2)
    (made,) = which.run(tiny_pipeline(profile_id), [window], settings, lambda done, total: steps.append((done, total)))
    assert (made.shape, made.dtype) == ((window.frames, 64, 64, 3), np.uint8)
    assert steps == [(1, 2), (2, 2)]
    assert made.std() > 1  # not one colour, which is what numbers that are not finite become


def test_a_restoring_pipeline_with_random_weights_runs_as_the_profile_runs_it():
    which, steps = profile("swiftvr"), []
    guide = np.random.default_rng(1).integers(0, 255, (33, 64, 96, 3), np.uint8)
    window = Window("", 33, 96, 64, Fraction(24), torch.Generator().manual_seed(1), guide=guide)
    (made,) = which.run(tiny_pipeline("swiftvr"), [window], which.defaults, lambda *each: steps.append(each))
    assert (made.shape, made.dtype) == ((33, 64, 96, 3), np.uint8)
    assert steps == [(1, 2), (2, 2)]
    assert made.std() > 1


@pytest.mark.parametrize("which", OURS, ids="/".join)
def test_random_weights_are_finite_in_the_wanted_type_and_whole(which):
    cls, config = shrunk(components(which[0]))[which[1]]
    made = random_model(cls, config, "cpu", torch.bfloat16)
    assert list(made.state_dict()) == list(build(cls, config).state_dict())
    for name, weight in made.state_dict().items():
        assert weight.dtype == torch.bfloat16 or not weight.is_floating_point(), name
        assert torch.isfinite(weight).all(), name
    assert not any(weight.is_meta for weight in [*made.parameters(), *made.buffers()])


def test_buffers_that_a_class_computes_are_as_it_computes_them():
    cls, config = shrunk(components("wan-vace-1.3b"))["transformer"]
    made, wanted = (
        dict(each.named_buffers()) for each in (random_model(cls, config, "cpu", torch.bfloat16), build(cls, config))
    )
    assert made.keys() == wanted.keys()
    assert made
    assert all(torch.equal(buffer, wanted[name]) for name, buffer in made.items())


def test_tied_weights_stay_tied():
    cls, config = shrunk(components("ltx-video"))["text_encoder"]
    made = random_model(cls, config, "cpu", torch.float32)
    assert made.shared.weight is made.encoder.embed_tokens.weight


@pytest.mark.parametrize(("profile_id", "tokens"), [("wan-vace-1.3b", 512), ("ltx-video", 256), ("videocrafter2", 77)])
def test_prompts_reach_the_text_encoder_at_full_length(profile_id, tokens):
    pipe = tiny_pipeline(profile_id)
    seen = []
    hook = pipe.text_encoder.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].shape[1]))
    try:
        pipe.embed(["a fox"]) if profile_id == "videocrafter2" else pipe.encode_prompt(
            "a fox", max_sequence_length=tokens
        )
    finally:
        hook.remove()
    assert set(seen) == {tokens}
