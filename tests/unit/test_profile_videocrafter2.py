"""The profile videocrafter2, on a tiny model of the real classes, and the way to it from the authors' checkpoint."""

import hashlib
import json
from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from tiny_models import videocrafter2 as tiny

from cmvc.errors import CancelledError, InvalidSettingError, MissingWeightsError
from cmvc_decoder.diffusion.profile import Window
from cmvc_decoder.diffusion.settings import Settings
from cmvc_decoder.generators.videocrafter2 import VideoCrafter2, checkpoint
from cmvc_decoder.generators.videocrafter2.scheduler import ScaledDDIMScheduler
from cmvc_decoder.generators.videocrafter2.unet import VideoCrafterUNet
from cmvc_decoder.speed.options import SpeedOptions

PROFILE = VideoCrafter2()
FAST = Settings(steps=3, guidance=12.0)
# Number of weights by name, of numbers in them, and SHA-256 of the sorted lines "name HxW", as measured by building the
# authors' modules at the sizes of configs/inference_t2v_512_v2.0.yaml: AILab-CVC/VideoCrafter at commit 11bcd76fc62f
# for denoiser and VAE, OpenCLIP 2.22.0 (ViT-H-14) for the text encoder.
PUBLISHED = {
    checkpoint.UNET: (1484, 1_413_284_420, "7ab59a263663cf7ee096d2769e88523cadaeee4db0c1e32820421bc75b34bd22"),
    checkpoint.VAE: (248, 83_653_863, "3f205d47927d415670f61b39b9f4c1ae7b4144e4150ca7f51b1899526092229f"),
    checkpoint.TEXT: (294, 354_032_641, "686e675a147761b98bfb47b761bd83c80fa1465b9430ca40b24f37191603bf95"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videocrafter2")
    tiny.write(folder)
    return folder


@pytest.fixture(scope="module")
def pipe(folder):
    return PROFILE.load(folder, SpeedOptions())


@pytest.fixture
def weights():
    return tiny.unconverted(*tiny.modules())


def window(prompt="a red fox", seed=1, known=None):
    return Window(
        prompt=prompt,
        frames=16,
        width=64,
        height=64,
        frame_rate=Fraction(8),
        noise=torch.Generator().manual_seed(seed),
        known=known or {},
    )


def nothing(done, total):
    pass


def run(pipe, *windows, settings=FAST, step=nothing):
    return PROFILE.run(pipe, windows, settings, step)


def convert(weights, scheduler=None):
    made = [module.to("meta") for module in tiny.modules()]  # as those of the published sizes are
    checkpoint.convert(weights, *made, scheduler or ScaledDDIMScheduler())
    return made


# The checkpoint


@pytest.mark.parametrize("part", PUBLISHED)
def test_every_name_and_shape_of_the_published_layout_has_its_place(part):
    layout = {
        key.removeprefix(part): each.shape
        for key, each in tiny.unconverted(*checkpoint.published()).items()
        if key.startswith(part)
    }
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in layout.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert (len(lines), sum(shape.numel() for shape in layout.values()), digest) == PUBLISHED[part]


def test_a_checkpoint_comes_through_file_conversion_and_folder_unchanged(tmp_path, weights):
    torch.save({"state_dict": weights, "global_step": 7}, tmp_path / "model.ckpt")
    unet, vae, text_encoder = convert(checkpoint.read(tmp_path / "model.ckpt"))
    parts = {
        "vae": vae,
        "text_encoder": text_encoder,
        "tokenizer": tiny.tokenizer(),
        "scheduler": ScaledDDIMScheduler(),
    }
    checkpoint.save(tmp_path, unet, **parts)
    pipe = PROFILE.load(tmp_path, SpeedOptions())
    for module, made in zip(tiny.modules(), (pipe.unet, pipe.vae, pipe.text_encoder), strict=True):
        expected = module.state_dict()
        assert made.state_dict().keys() == expected.keys()
        assert all(torch.equal(weight, expected[name]) for name, weight in made.state_dict().items())


def test_a_name_that_is_not_known_is_refused(weights):
    weights["model.diffusion_model.input_blocks.1.0.extra.weight"] = torch.zeros(1)
    with pytest.raises(MissingWeightsError, match=r"input_blocks\.1\.0\.extra"):
        convert(weights)


def test_a_name_outside_all_parts_is_refused(weights):
    with pytest.raises(MissingWeightsError, match=r"embedder\.logit"):
        convert(weights | {"embedder.logit": torch.zeros(1)})


def test_a_checkpoint_without_the_frame_rate_embedding_is_refused(weights):
    del weights["model.diffusion_model.fps_embedding.0.weight"]
    with pytest.raises(MissingWeightsError, match=r"fps_embedding\.linear_1\.weight"):
        convert(weights)


def test_a_weight_of_another_shape_is_refused(weights):
    weights["model.diffusion_model.out.2.bias"] = torch.zeros(5)
    with pytest.raises(MissingWeightsError, match=r"out\.2\.bias is 5, not 4"):
        convert(weights)


def test_the_schedules_of_the_checkpoint_are_compared(weights):
    own = ScaledDDIMScheduler()
    tail = torch.full((400,), 0.7)  # theirs goes on past the last timestep
    schedules = {"betas": own.betas, "alphas_cumprod": own.alphas_cumprod, "scale_arr": torch.cat([own.scales, tail])}
    convert(weights | schedules)
    with pytest.raises(MissingWeightsError, match="scale_arr"):
        convert(weights | schedules, ScaledDDIMScheduler(scale_end=0.3))


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch.save({"state_dict": Fraction}, tmp_path / "model.ckpt")
    with pytest.raises(MissingWeightsError, match="not a file of weights alone"):
        checkpoint.read(tmp_path / "model.ckpt")


def test_a_tokenizer_of_another_vocabulary_is_refused(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(tiny.VOCABULARY)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    assert checkpoint.tokenizer(tmp_path, len(tiny.VOCABULARY))("").input_ids
    with pytest.raises(MissingWeightsError, match="49408"):
        checkpoint.tokenizer(tmp_path, 49408)
    with pytest.raises(MissingWeightsError, match=r"vocab\.json"):
        checkpoint.tokenizer(tmp_path / "nowhere", 49408)


def test_a_denoiser_saved_by_the_community_conversion_loads(tmp_path, folder):
    config = json.loads((folder / "unet" / "config.json").read_text())
    config |= {"_class_name": "UNetVideoCrafter", "fps_cond": True, "act_fn": "silu", "downsample_padding": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    expected = tiny.modules()[0].state_dict()
    loaded = VideoCrafterUNet.from_pretrained(tmp_path, local_files_only=True).state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in loaded.items())


# The denoiser and its sampler


def test_the_frame_rate_changes_what_the_denoiser_predicts():
    unet, noise = tiny.modules()[0], torch.Generator().manual_seed(2)
    latents, text = torch.randn(2, 4, 16, 8, 8, generator=noise), torch.randn(2, 77, 16, generator=noise)
    with torch.inference_mode():
        made = {fps: unet(latents, 500, text, fps) for fps in (8, 28)}
        again = unet(latents, 500, text, 28)
    assert made[28].shape == latents.shape
    assert torch.equal(made[28], again)
    assert (made[8] - made[28]).abs().mean() > 0.01 * made[28].std()


def test_the_scale_falls_from_1_to_07_over_400_timesteps():
    scales = ScaledDDIMScheduler().scales
    assert scales.shape == (1000,)
    assert scales[[0, 200, 399, 400, 999]].tolist() == pytest.approx([1, 1 - 0.3 * 200 / 399, 0.7, 0.7, 0.7])


def test_50_steps_are_the_authors():
    scheduler = ScaledDDIMScheduler()
    scheduler.set_timesteps(50)
    assert scheduler.timesteps.tolist() == list(range(981, 0, -20))
    betas = np.linspace(sqrt(0.00085), sqrt(0.012), 1000) ** 2
    assert np.allclose(scheduler.alphas_cumprod, np.cumprod(1 - betas), rtol=1e-4)


@pytest.mark.parametrize("timestep", [981, 401, 381, 21, 1])
def test_with_the_true_noise_a_step_stays_on_the_scaled_schedule(timestep):
    scheduler, draws = ScaledDDIMScheduler(), torch.Generator().manual_seed(3)
    scheduler.set_timesteps(50)
    clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=draws)
    made = scheduler.advance(noise, timestep, scheduler.noised(clean, noise, timestep), 0.0, None)
    expected = scheduler.noised(clean, noise, max(timestep - 20, 0))
    assert torch.allclose(made, expected, atol=2e-3 / sqrt(scheduler.alphas_cumprod[timestep]))


def test_plain_ddim_would_leave_the_scaled_schedule():
    scheduler, draws = ScaledDDIMScheduler(), torch.Generator().manual_seed(3)
    scheduler.set_timesteps(50)
    clean, noise = torch.randn(2, 1, 4, 3, 2, 2, generator=draws)
    made = DDIMScheduler.step(scheduler, noise, 201, scheduler.noised(clean, noise, 201)).prev_sample
    assert (made - scheduler.noised(clean, noise, 181)).abs().max() > 0.01


def test_fresh_noise_is_as_much_as_ddpm_adds():
    scheduler = ScaledDDIMScheduler()
    scheduler.set_timesteps(50)
    still = torch.zeros(1, 4, 16, 32, 32)
    made = scheduler.advance(still, 501, still, 1.0, [torch.Generator().manual_seed(4)])
    now, after = scheduler.alphas_cumprod[[501, 481]].tolist()
    assert float(made.std()) == pytest.approx(sqrt((1 - after) / (1 - now) * (1 - now / after)), rel=0.02)


def test_a_scheduler_comes_back_from_its_folder(folder):
    loaded = ScaledDDIMScheduler.from_pretrained(folder / "base" / "scheduler", local_files_only=True)
    assert torch.equal(loaded.scales, ScaledDDIMScheduler().scales)
    assert loaded.config.steps_offset == 1
    assert loaded.config.set_alpha_to_one is loaded.config.clip_sample is False


# The profile


def test_the_unconditional_text_is_an_empty_sequence_padded_with_token_0(pipe):
    start, end = len(tiny.VOCABULARY) - 2, len(tiny.VOCABULARY) - 1
    tokens = torch.tensor([[start, end, *[0] * 75]])
    with torch.inference_mode():
        expected = pipe.text_encoder(tokens).last_hidden_state
        assert torch.equal(pipe.embed([""]), expected)
        assert not torch.allclose(pipe.embed(["a"]), expected, atol=1e-3)


def test_guidance_leads_away_from_the_empty_sequence(pipe):
    empty = [run(pipe, window(""), settings=Settings(3, guidance))[0].astype(int) for guidance in (1.0, 12.0)]
    told = [run(pipe, window("a fox"), settings=Settings(3, guidance))[0].astype(int) for guidance in (1.0, 12.0)]
    assert np.abs(empty[0] - empty[1]).max() <= 1  # nothing to lead away from
    assert np.abs(told[0] - told[1]).mean() > 1


def test_frames_have_the_windows_size_and_steps_are_counted(pipe):
    steps = []
    (frames,) = run(pipe, window(), step=lambda done, total: steps.append((done, total)))
    assert (frames.shape, frames.dtype) == ((16, 64, 64, 3), np.uint8)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert frames.std() > 5


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(pipe):
    first, again, other = (run(pipe, window(seed=seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_step_adds_fresh_noise_from_the_windows_generator(pipe):
    made, expected = window(seed=5), torch.Generator().manual_seed(5)
    run(pipe, made)
    for _ in range(1 + FAST.steps):  # where it starts, and each step
        torch.randn((1, 4, 16, 8, 8), generator=expected)
    assert torch.equal(made.noise.get_state(), expected.get_state())


def test_windows_of_one_batch_are_those_made_alone(pipe):
    both = run(pipe, window("a fox", 1), window("a hen", 2))
    alone = [run(pipe, window(prompt, seed))[0] for prompt, seed in (("a fox", 1), ("a hen", 2))]
    for made, expected in zip(both, alone, strict=True):
        assert np.abs(made.astype(int) - expected).max() <= 1  # sums are rounded in another order


def test_what_a_step_raises_ends_the_run_and_leaves_the_pipeline_usable(pipe):
    expected = run(pipe, window())[0]
    done = []

    def stop(number, total):
        done.append(number)
        raise CancelledError("enough")

    with pytest.raises(CancelledError):
        run(pipe, window(), step=stop)
    assert done == [1]
    assert np.array_equal(run(pipe, window())[0], expected)


def test_known_frames_are_kept_to(pipe):
    """A tiny VAE keeps little of a picture, so they are compared with what it makes of them."""
    given = np.full((64, 64, 3), 255, np.uint8)
    given[:32] = 0
    free, held = (run(pipe, window(known=known))[0].astype(int) for known in ({}, {0: given, 1: given}))
    with torch.inference_mode():
        picture = torch.from_numpy(given).permute(2, 0, 1)[None] / 255
        target = (pipe.decode(pipe.encode({0: picture})[:, :, 0])[0].permute(1, 2, 0) * 255).numpy()
    assert np.abs(held[:2] - target).mean() < 0.5 * np.abs(free[:2] - target).mean()


def test_settings_that_it_does_not_have_are_refused(pipe):
    with pytest.raises(InvalidSettingError, match="few_steps"):
        run(pipe, window(), settings=Settings(3, 1.0, few_steps="lcm"))
    with pytest.raises(InvalidSettingError, match="cache"):
        run(pipe, window(), settings=Settings(3, 1.0, cache=0.1))


def test_loading_warns_of_nothing(folder, caplog):
    PROFILE.load(folder, SpeedOptions())
    assert caplog.records == []


def test_loading_from_an_empty_folder_says_what_to_run(tmp_path):
    with pytest.raises(MissingWeightsError, match="cmvc models pull videocrafter2"):
        PROFILE.load(tmp_path / "videocrafter2", SpeedOptions())
