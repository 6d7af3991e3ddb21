"""Trains the toy MLLM: ``python -m tests.toy_mllm.train [--out FOLDER]``.

First the eye alone: vision tower and connector learn to tell colours, shape, size and place. Then movement: the whole
model learns to tell, after each image, where the thing is and how far it has come; without this step it never finds
out what directions are. Last the answers: cross-entropy of what comes after the prompt. Heads of the first two steps
are thrown away. It takes some ten minutes on a core.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import GPT2Tokenizer, SmolVLMForConditionalGeneration

from cmvc.media.rgb import from_rgb, to_rgb
from cmvc_encoder.semantics.prompts import content_prompt, motion_prompt
from tests.tiny_models import smolvlm
from tests.toy_mllm import FOLDER
from tests.toy_mllm.answers import content_answer, motion_answer
from tests.toy_vace.domain import COLORS, DIRECTIONS, SHAPES, SIDE, SIZES, Scene, draw, random_scene

SEED = 2026
EYE_STEPS, EYE_BATCH, EYE_RATE = 600, 64, 3e-3
MOVE_STEPS, STEPS, BATCH, RATE = 600, 1200, 40, 2e-3
SHORT = 0.7  # share of the last steps with only the first words of the prompts, which is faster by three times
FRAMES = 13  # of a scene
IMAGES = (2, 3, 4, 4, 5)  # of a question about motion, one of these
WORDS = (8, 40)  # that a prompt asks for
VISION = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = {
    "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 1024,
}  # fmt: skip
PICTURE = f"{smolvlm.FAKE}{smolvlm.GLOBAL}{smolvlm.IMAGE * smolvlm.TOKENS}{smolvlm.FAKE}"  # as the processor writes it


@dataclass(frozen=True)
class Batch:
    """Questions with their answers.

    Attributes:
        prompts, answers: one of each for each question.
        images: (batch, images, 3, SIDE, SIDE), -1..1.
        places: (batch, images, 2), of the thing's middle, in sides of the picture.
    """

    prompts: list[str]
    answers: list[str]
    images: torch.Tensor
    places: torch.Tensor


def tokenizer() -> GPT2Tokenizer:
    """Return a tokenizer with a token for each word of prompts and answers, and bytes for all others."""
    scenes = [
        Scene(back, color, shape, size, way, (0, 0), 0)
        for back in COLORS for color in COLORS for shape in SHAPES for size in SIZES for way in DIRECTIONS
    ]  # fmt: skip
    prompts = [f" {ask(words)}" for words in range(WORDS[0], WORDS[1] + 1) for ask in (content_prompt, motion_prompt)]
    answers = [f" {tell(scene)}" for scene in scenes for tell in (content_answer, motion_answer)]
    return smolvlm.tokenizer([*prompts, *answers, "User:", "Assistant:"], 2000)


def as_coded(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames as a video of 4:2:0 shows them, or with noise, or as they are."""
    way = rng.random()
    if way < 0.4:
        return np.stack([to_rgb(from_rgb(frame, 1), 1) for frame in video])
    if way < 0.7:
        noisy = video + rng.normal(0, rng.uniform(1, 6), video.shape) + rng.uniform(-8, 8)
        return noisy.clip(0, 255).astype(np.uint8)
    return video


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """Return (..., height, width, 3), 0..255, as (..., 3, height, width), -1..1, as the processor does."""
    return torch.from_numpy(np.moveaxis(frames, -1, -3).astype(np.float32) / 127.5 - 1)


def train_eye(model: SmolVLMForConditionalGeneration, rng: np.random.Generator) -> None:
    """Train vision tower and connector."""
    sizes = (len(COLORS), len(COLORS), len(SHAPES), len(SIZES), 2)
    head = nn.Linear(smolvlm.TOKENS * TEXT["hidden_size"], sum(sizes))
    step = Step([*model.model.vision_model.parameters(), *model.model.connector.parameters(), *head.parameters()],
                EYE_RATE, EYE_STEPS)  # fmt: skip
    for _ in range(EYE_STEPS):
        scenes = [random_scene(rng, 2) for _ in range(EYE_BATCH)]
        images = to_tensor(np.stack([as_coded(draw(scene, 1), rng) for scene in scenes]))
        features = torch.cat(list(model.model.get_image_features(images).pooler_output))
        *classes, place = head(features.reshape(EYE_BATCH, -1)).split(sizes, 1)
        names = [(list(COLORS), "background"), (list(COLORS), "color"), (SHAPES, "shape"), (list(SIZES), "size")]
        loss = 20 * (place - torch.tensor([scene.start for scene in scenes]) / SIDE).square().mean()
        for scores, (known, name) in zip(classes, names, strict=True):
            loss = loss + cross_entropy(scores, torch.tensor([known.index(getattr(s, name)) for s in scenes]))
        step("eye", loss)


def train_movement(
    model: SmolVLMForConditionalGeneration, words: GPT2Tokenizer, head: nn.Linear, rng: np.random.Generator
) -> None:
    """Train the model and ``head`` on images alone."""
    step = Step([*model.parameters(), *head.parameters()], RATE, MOVE_STEPS)
    for _ in range(MOVE_STEPS):
        batch = motion_batch(rng, short=True)
        row = words(f"{smolvlm.START}User:{PICTURE * batch.images.shape[1]}")["input_ids"]
        ids = torch.tensor([row] * BATCH)
        hidden = model.model(input_ids=ids, pixel_values=batch.images).last_hidden_state
        step("movement", movement_loss(words, head, hidden, ids, batch.places))


def movement_loss(
    words: GPT2Tokenizer, head: nn.Linear, hidden: torch.Tensor, ids: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Return how badly ``head`` reads place and way from what the model holds after each image."""
    fake, image = words.convert_tokens_to_ids([smolvlm.FAKE, smolvlm.IMAGE])
    after = nn.functional.pad((ids[:, 1:] == fake) & (ids[:, :-1] == image), (1, 0))
    read = head(hidden[after]).view(*places.shape[:2], 4)
    way = places - places[:, :1]
    return 20 * (read - torch.cat([places, way], -1)).square().mean()


def ask(words: GPT2Tokenizer, batch: Batch) -> tuple[torch.Tensor, ...]:
    """Return token ids, attention mask and loss mask of dialogues, padded on the left as in use."""
    rows = []
    for prompt, answer in zip(batch.prompts, batch.answers, strict=True):
        asked = f"{smolvlm.START}User:{PICTURE * batch.images.shape[1]}{prompt}{smolvlm.END}\nAssistant:"
        rows.append((words(asked)["input_ids"], words(f" {answer}{smolvlm.END}")["input_ids"]))
    longest = max(len(before) + len(after) for before, after in rows)
    ids, mask, told = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(3))
    ids[:] = words.pad_token_id
    for row, (before, after) in enumerate(rows):
        start = longest - len(before) - len(after)
        ids[row, start:] = torch.tensor([*before, *after])
        mask[row, start:] = 1
        told[row, longest - len(after) :] = 1
    return ids, mask, told.bool()


def vary(prompt: str, rng: np.random.Generator, *, short: bool) -> str:
    """Return the first words of a prompt, or all of it, at times without some."""
    words = prompt.split(" ")
    if short:
        return " ".join(words[: rng.integers(1, 6)])
    return prompt if rng.random() < 0.7 else " ".join(word for word in words if rng.random() > 0.1)


def content_batch(rng: np.random.Generator, *, short: bool) -> Batch:
    """Return questions about one image each."""
    scenes = [random_scene(rng, FRAMES) for _ in range(BATCH)]
    shown = rng.integers(0, FRAMES, (BATCH, 1))
    prompts = [vary(content_prompt(int(rng.integers(*WORDS))), rng, short=short) for _ in scenes]
    return _batch(scenes, shown, prompts, [content_answer(scene) for scene in scenes], rng)


def motion_batch(rng: np.random.Generator, *, short: bool) -> Batch:
    """Return questions about several images each, in order of time."""
    scenes = [random_scene(rng, FRAMES) for _ in range(BATCH)]
    count = int(rng.choice(IMAGES))
    ends = [(0, FRAMES - 1) if rng.random() < 0.5 else rng.integers((0, 8), (5, FRAMES)) for _ in scenes]
    shown = np.stack([np.linspace(first, last, count).round().astype(int) for first, last in ends])
    prompts = [vary(motion_prompt(int(rng.integers(*WORDS))), rng, short=short) for _ in scenes]
    return _batch(scenes, shown, prompts, [motion_answer(scene) for scene in scenes], rng)


def _batch(
    scenes: list[Scene], shown: np.ndarray, prompts: list[str], answers: list[str], rng: np.random.Generator
) -> Batch:
    videos = [as_coded(draw(scene, FRAMES)[frames], rng) for scene, frames in zip(scenes, shown, strict=True)]
    places = [[scene.place(int(f)) for f in frames] for scene, frames in zip(scenes, shown, strict=True)]
    return Batch(prompts, answers, to_tensor(np.stack(videos)), torch.tensor(places) / SIDE)


def train_answers(
    model: SmolVLMForConditionalGeneration, words: GPT2Tokenizer, head: nn.Linear, rng: np.random.Generator
) -> None:
    """Train the whole model on both questions, one of content for two of motion."""
    step = Step([*model.parameters(), *head.parameters()], RATE, STEPS)
    for number in range(STEPS):
        name, make = ("motion", motion_batch) if number % 3 else ("content", content_batch)
        batch = make(rng, short=number < SHORT * STEPS)
        ids, mask, told = ask(words, batch)
        hidden = model.model(input_ids=ids, attention_mask=mask, pixel_values=batch.images).last_hidden_state
        loss = cross_entropy(model.lm_head(hidden[:, :-1][told[:, 1:]]), ids[:, 1:][told[:, 1:]])
        step(name, loss, movement_loss(words, head, hidden, ids, batch.places))


class Step:
    """Steps of AdamW with one rise and fall of the rate."""

    def __init__(self, parameters: list[nn.Parameter], rate: float, steps: int) -> None:
        """Begin with the first of ``steps``."""
        self._parameters = parameters
        self._optimizer = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.98), weight_decay=0.01)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimizer, rate, steps, pct_start=0.1)
        self._losses: dict[str, list[float]] = {}
        self._done = 0

    def __call__(self, name: str, loss: torch.Tensor, beside: torch.Tensor | float = 0.0) -> None:
        """Make a step against ``loss`` and ``beside``; report the mean of the former now and then."""
        self._optimizer.zero_grad()
        (loss + beside).backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self._schedule.step()
        self._done += 1
        losses = self._losses.setdefault(name, [])
        losses.append(float(loss.detach()))
        if len(losses) % 25 == 0:
            print(f"{time.strftime('%H:%M:%S')} step {self._done}, {name}: {np.mean(losses[-25:]):.4f}", flush=True)


def main() -> None:
    """Train and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the same result on every machine
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    words = tokenizer()
    model = smolvlm.make_model(words, VISION, TEXT)
    head = nn.Linear(TEXT["hidden_size"], 4)
    print(f"{len(words)} tokens, {sum(p.numel() for p in model.parameters())} weights")
    train_eye(model, rng)
    train_movement(model, words, head, rng)
    train_answers(model, words, head, rng)
    smolvlm.save(options.out, words, model.half())


if __name__ == "__main__":
    main()
