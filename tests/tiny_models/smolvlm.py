"""A tiny SmolVLM: real classes, in the files of the published checkpoints."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import GenerationConfig, GPT2Tokenizer, SmolVLMConfig, SmolVLMForConditionalGeneration

START, END = "<|im_start|>", "<end_of_utterance>"
IMAGE, FAKE, GLOBAL = "<image>", "<fake_token_around_image>", "<global-img>"
PAD = "<|endoftext|>"
SIDE, PATCH, SCALE = 64, 16, 2  # pixels; pixels; patches along a side that make one token
TOKENS = (SIDE // PATCH // SCALE) ** 2  # of an image
_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def byte_pairs(texts: Iterable[str], size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return vocabulary and merges of a byte-level BPE, so that any text has tokens and ``texts`` few."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    core.train_from_iterator(list(texts), trainer)
    model = json.loads(core.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def tokenizer(texts: Iterable[str] = (), size: int = 256) -> GPT2Tokenizer:
    """Return the tokenizer, of ``size`` tokens besides the special ones."""
    vocabulary, merges = byte_pairs(texts, size)
    return GPT2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        bos_token=START,
        eos_token=END,
        unk_token=PAD,
        pad_token=PAD,
        extra_special_tokens=[IMAGE, FAKE, GLOBAL],
        model_max_length=2048,
    )


def make_model(words: GPT2Tokenizer, vision: dict[str, Any], text: dict[str, Any]) -> SmolVLMForConditionalGeneration:
    """Return an untrained model for that tokenizer; ``vision`` and ``text`` are settings of its two halves."""
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = SmolVLMConfig(
        image_token_id=words.convert_tokens_to_ids(IMAGE),
        scale_factor=SCALE,
        tie_word_embeddings=True,
        vision_config={"image_size": SIDE, "patch_size": PATCH} | vision,
        text_config={"model_type": "llama", "vocab_size": len(words), "tie_word_embeddings": True} | ids | text,
        **ids,
    )
    model = SmolVLMForConditionalGeneration(config)
    model.generation_config = GenerationConfig(**ids)
    return model


def save(folder: Path, words: GPT2Tokenizer, model: SmolVLMForConditionalGeneration) -> None:
    """Write tokenizer, model and the settings of the processor under the published names and keys."""
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    images = {
        "do_convert_rgb": True,
        "do_image_splitting": True,
        "do_normalize": True,
        "do_pad": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_processor_type": "SmolVLMImageProcessor",
        "image_std": [0.5, 0.5, 0.5],
        "max_image_size": {"longest_edge": SIDE},
        "processor_class": "SmolVLMProcessor",
        "resample": 1,
        "rescale_factor": 1 / 255,
        "size": {"longest_edge": 4 * SIDE},
        "video_sampling": {"fps": 1, "max_frames": 64, "video_size": {"longest_edge": SIDE}},
    }
    for name, content in {
        "preprocessor_config.json": images,
        "processor_config.json": {"image_seq_len": TOKENS, "processor_class": "SmolVLMProcessor"},
        "chat_template.json": {"chat_template": _TEMPLATE},
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def write(folder: Path) -> None:
    """Write the model with random weights."""
    torch.manual_seed(1)
    words = tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    save(folder, words, make_model(words, size, size | {"num_key_value_heads": 1}))
