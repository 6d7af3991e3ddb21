"""Trains the toy checkpoint: ``python -m tests.toy_vace.train [--out FOLDER]``.

First the VAE (reconstruction), then text encoder, transformer and VACE layers together (flow matching: the model
predicts noise minus latents at a random time; Lipman et al. 2023, "Flow Matching for Generative Modeling"). Conditions
are prepared by the pipeline's own methods, so that training and use agree. Last the VAE's decoder once more, on
pictures with texture as well, so that what an adapter learns from real clips can be seen; the latents stay as they
are (``--decoder`` does only that, to the weights that are there). It takes 40 minutes on a core.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanVACEPipeline, WanVACETransformer3DModel
from diffusers.models.autoencoders.autoencoder_kl_wan import WanAttentionBlock, WanResidualBlock
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

from tests.toy_vace.domain import SIDE, WORDS, draw, low_rate, random_scene
from tests.toy_vace.textures import draw_textured

SEED = 2026
FRAMES = (9, 13)
TOKENS, SHORT, LONG = 24, 64, 512  # of a caption at the most; padded to at first; padded to by the pipeline
LONG_FROM = 0.8  # share of the steps after which captions are padded as the pipeline does, which is slower
VAE_STEPS, VAE_BATCH, VAE_RATE = 1400, 6, 3e-3
DECODER_STEPS, DECODER_RATE, TEXTURED_VIDEOS = 1500, 2e-3, 400
VIDEOS, FLOW_STEPS, FLOW_BATCH = 320, 3000, 32
SHIFT = 3.0
NO_CAPTION = 0.12  # share of videos trained without caption, for guidance
LETTERS = "abcdefghijklmnopqrstuvwxyz.,-"
CONDITIONS = ("nothing", "ends", "first", "overlap", "some", "guide")


def tokenizer() -> T5TokenizerFast:
    """Return a tokenizer with a token for each word of the domain, and letters for all others."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [(f"▁{word}", -2.0) for word in WORDS]
    letters = [(letter, -8.0) for letter in ("▁", *LETTERS)]
    return T5TokenizerFast(vocab=[*special, *words, *letters], extra_ids=0, model_max_length=TOKENS)


def make_pipeline() -> WanVACEPipeline:
    """Return the untrained pipeline of real classes at toy sizes."""
    words = tokenizer()
    text = UMT5Config(vocab_size=len(words), d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2, dropout_rate=0.0)
    vae = AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1)
    transformer = WanVACETransformer3DModel(
        num_attention_heads=5,
        attention_head_dim=16,
        in_channels=16,
        out_channels=16,
        text_dim=32,
        freq_dim=64,
        ffn_dim=160,
        num_layers=4,
        vace_layers=[0, 2],
        vace_in_channels=96,
    )
    return WanVACEPipeline(
        tokenizer=words,
        text_encoder=UMT5EncoderModel(text),
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
        transformer=transformer,
    )


def to_tensor(video: np.ndarray) -> torch.Tensor:
    """Return (frames, height, width, 3), 0..255, as (3, frames, height, width), -1..1."""
    return torch.from_numpy(np.ascontiguousarray(video)).float().permute(3, 0, 1, 2) / 127.5 - 1


def let_through(vae: AutoencoderKLWan) -> None:
    """Have every convolution begin as a copy (or a mean) of its input, so that colours reach the latents at once.

    As they come, the weights of so narrow a network drown its input in the biases of twenty layers.
    """
    for module in vae.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
            weight = module.weight
            mix = torch.empty(weight.shape[:2])
            torch.nn.init.orthogonal_(mix, gain=max(1.0, (weight.shape[0] / weight.shape[1]) ** 0.5))
            torch.nn.init.normal_(weight, std=0.3 / weight[0].numel() ** 0.5)
            torch.nn.init.zeros_(module.bias)
            middle = weight.shape[-1] // 2
            with torch.no_grad():
                if isinstance(module, torch.nn.Conv3d):
                    weight[:, :, -1, middle, middle] += mix  # the last tap in time is the present
                elif module.stride == (2, 2):
                    weight[:, :, :2, :2] += mix[:, :, None, None] / 4
                else:
                    weight[:, :, middle, middle] += mix
    for module in vae.modules():
        if isinstance(module, WanResidualBlock):
            module.conv2.weight.data *= 0.1
        if isinstance(module, WanAttentionBlock):
            torch.nn.init.zeros_(module.proj.weight)


def train_vae(vae: AutoencoderKLWan, rng: np.random.Generator, losses: list[float]) -> None:
    """Train reconstruction on crops, with frames gray at times, as conditions have them."""
    let_through(vae)
    optimizer = torch.optim.AdamW(vae.parameters(), lr=VAE_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, VAE_RATE, VAE_STEPS, pct_start=0.1)
    for step in range(VAE_STEPS):
        frames = 5 if rng.random() < 0.75 else 9
        videos = torch.stack([_crop(rng, frames) for _ in range(VAE_BATCH)])
        latents = vae.encode(videos).latent_dist.mode()
        error = vae.decode(latents + 0.03 * torch.randn_like(latents)).sample - videos
        loss = error.abs().mean() + 2 * (error**2).mean() + 1e-4 * (latents**2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float((error.detach() ** 2).mean()))
        report("vae", step, VAE_STEPS, losses)


def _crop(rng: np.random.Generator, frames: int, pool: list[np.ndarray] | None = None) -> torch.Tensor:
    """Return a crop of a video of the toy's world, or of one of ``pool``."""
    whole = pool[rng.integers(len(pool))] if pool else draw(random_scene(rng, 9), 9)
    video = to_tensor(whole)[:, :frames]
    left, top = rng.integers(0, SIDE - 32 + 1, 2)
    video = video[:, :, top : top + 32, left : left + 32]
    if rng.random() < 0.3:
        video[:, torch.from_numpy(rng.random(frames) < 0.6)] = 0.0
    return video


def train_decoder(vae: AutoencoderKLWan, rng: np.random.Generator, losses: list[float]) -> None:
    """Train the decoder alone, on the toy's own world and on textured videos in equal parts."""
    vae.requires_grad_(False)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    pool = [draw_textured(rng, 9) for _ in range(TEXTURED_VIDEOS)]
    optimizer = torch.optim.AdamW(parameters, lr=DECODER_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, DECODER_RATE, DECODER_STEPS, pct_start=0.1)
    for step in range(DECODER_STEPS):
        textured = rng.random(VAE_BATCH) < 0.5
        videos = torch.stack([_crop(rng, 5, pool if each else None) for each in textured])
        with torch.no_grad():
            latents = vae.encode(videos).latent_dist.mode()
        error = vae.decode(latents + 0.03 * torch.randn_like(latents)).sample - videos
        loss = error.abs().mean() + 2 * (error**2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float((error.detach() ** 2).mean()))
        report("decoder", step, DECODER_STEPS, losses)


def report(name: str, step: int, steps: int, losses: list[float]) -> None:
    """Print the mean loss now and then."""
    if (step + 1) % 50 == 0:
        print(f"{time.strftime('%H:%M:%S')} {name} {step + 1}/{steps}: {np.mean(losses[-50:]):.5f}", flush=True)


def normalise(vae: AutoencoderKLWan, rng: np.random.Generator) -> None:
    """Record mean and spread of the latents, which the pipeline divides by."""
    with torch.no_grad():
        videos = torch.stack([to_tensor(draw(random_scene(rng, 9), 9)) for _ in range(64)])
        latents = vae.encode(videos).latent_dist.mode()
    vae.register_to_config(
        latents_mean=latents.mean((0, 2, 3, 4)).tolist(), latents_std=latents.std((0, 2, 3, 4)).tolist()
    )


def known_frames(condition: str, frames: int, rng: np.random.Generator) -> list[int]:
    """Return which frames are given under a condition."""
    if condition == "ends":
        return [0, frames - 1]
    if condition == "first":
        return [0]
    if condition == "overlap":
        return [0, 1, 2, 3, 4] + ([frames - 1] if rng.random() < 0.5 else [])
    if condition == "some":
        return sorted(rng.choice(frames, rng.integers(1, 4), replace=False).tolist())
    return []


def prepare(pipe: WanVACEPipeline, frames: int, rng: np.random.Generator) -> dict[str, list]:
    """Return captions, latents and conditioning latents of ``VIDEOS`` videos, one condition each in turn."""
    data: dict[str, list] = {"captions": [], "latents": [], "conditions": []}
    mean = torch.tensor(pipe.vae.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(pipe.vae.config.latents_std).view(1, -1, 1, 1, 1)
    ones = torch.ones(1, 3, frames, SIDE, SIDE)
    blank = pipe.prepare_video_latents(torch.zeros_like(ones), ones, [[]], None, ones.device).chunk(2, 1)[0]
    for number in range(VIDEOS):
        scene = random_scene(rng, frames)
        video = draw(scene, frames)
        latents = (pipe.vae.encode(to_tensor(video)[None]).latent_dist.mode() - mean) / std
        for condition in rng.choice(CONDITIONS, 3, replace=False, p=[0.22, 0.22, 0.1, 0.16, 0.1, 0.2]):
            known = known_frames(condition, frames, rng)
            mask = ones.clone()
            mask[:, :, known] = 0
            inactive = reactive = blank
            if condition == "guide":
                reactive = (pipe.vae.encode(to_tensor(low_rate(video))[None]).latent_dist.mode() - mean) / std
            elif known:
                inactive = (pipe.vae.encode(to_tensor(video)[None] * (1 - mask)).latent_dist.mode() - mean) / std
            both = [inactive, reactive, pipe.prepare_masks(mask, [[]], None)]
            data["captions"].append(scene.caption)
            data["latents"].append(latents[0].half())
            data["conditions"].append(torch.cat(both, 1)[0].half())
        if (number + 1) % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')} prepared {number + 1}/{VIDEOS} of {frames} frames", flush=True)
    return data


def train_flow(pipe: WanVACEPipeline, rng: np.random.Generator, losses: list[float]) -> None:
    """Train text encoder and transformer to predict noise minus latents."""
    with torch.no_grad():
        sets = [prepare(pipe, frames, rng) for frames in FRAMES]
    parameters = [*pipe.transformer.parameters(), *pipe.text_encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, FLOW_STEPS, pct_start=0.05)
    scale = torch.ones(len(pipe.transformer.config.vace_layers))
    for step in range(FLOW_STEPS):
        data = sets[0] if rng.random() < 0.65 else sets[1]
        chosen = rng.integers(0, len(data["captions"]), FLOW_BATCH if data is sets[0] else FLOW_BATCH // 2)
        captions = ["" if rng.random() < NO_CAPTION else data["captions"][n] for n in chosen]
        latents = torch.stack([data["latents"][n] for n in chosen]).float()
        conditions = torch.stack([data["conditions"][n] for n in chosen]).float()
        flat = torch.rand(len(chosen))
        time_ = (SHIFT * flat / (1 + (SHIFT - 1) * flat)).view(-1, 1, 1, 1, 1)
        noise = torch.randn_like(latents)
        made = pipe.transformer(
            hidden_states=(1 - time_) * latents + time_ * noise,
            timestep=time_.flatten() * 1000,
            encoder_hidden_states=_embed(pipe, captions, SHORT if step < LONG_FROM * FLOW_STEPS else LONG),
            control_hidden_states=conditions,
            control_hidden_states_scale=scale,
            return_dict=False,
        )[0]
        loss = ((made - (noise - latents)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        report("flow", step, FLOW_STEPS, losses)


def _embed(pipe: WanVACEPipeline, captions: list[str], length: int) -> torch.Tensor:
    """Return the embeddings that the pipeline makes, padded with zeros to ``length`` as it does."""
    embeds = pipe._get_t5_prompt_embeds(captions, max_sequence_length=TOKENS)
    return torch.nn.functional.pad(embeds, (0, 0, 0, length - TOKENS))


def main() -> None:
    """Train and write the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--decoder", action="store_true", help="train only the VAE's decoder, of the weights in --out")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as fast as two on small tensors, and the same result on every machine
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    if options.decoder:
        pipe = WanVACEPipeline.from_pretrained(options.out, torch_dtype=torch.float32)
        train_decoder(pipe.vae, rng, [])
        save(pipe, options.out)
        return
    pipe = make_pipeline()
    train_vae(pipe.vae, rng, [])
    pipe.vae.requires_grad_(False)
    normalise(pipe.vae, rng)
    save(pipe, options.out)  # rounds the VAE, so that the rest learns from the latents that it will meet
    train_flow(pipe, rng, [])
    train_decoder(pipe.vae, rng, [])
    save(pipe, options.out)


def save(pipe: WanVACEPipeline, folder: Path) -> None:
    """Write the pipeline in half precision."""
    half = {name: each for name, each in pipe.components.items() if isinstance(each, torch.nn.Module)}
    for module in half.values():
        module.half()
    pipe.save_pretrained(folder)
    for module in half.values():
        module.float()


if __name__ == "__main__":
    main()
