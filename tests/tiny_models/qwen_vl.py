"""A tiny Qwen2.5-VL: real classes, in the files of the published checkpoints."""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from tests.tiny_models.smolvlm import byte_pairs

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
OPEN, CLOSE, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_IMAGES = {
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "max_pixels": 12845056,
    "merge_size": 2,
    "min_pixels": 3136,
    "patch_size": 14,
    "processor_class": "Qwen2_5_VLProcessor",
    "resample": 3,
    "rescale_factor": 1 / 255,
    "temporal_patch_size": 2,
}


def write(folder: Path) -> None:
    """Write the model with random weights."""
    torch.manual_seed(1)
    vocabulary, merges = byte_pairs((), 256)
    words = Qwen2Tokenizer(
        vocab=vocabulary, merges=merges, pad_token=PAD, eos_token=END, unk_token=None,
        extra_special_tokens=[START, OPEN, CLOSE, IMAGE, VIDEO], model_max_length=4096,
    )  # fmt: skip
    ids = {"eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
        } | ids,
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 32,
            "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=words.convert_tokens_to_ids(IMAGE),
        video_token_id=words.convert_tokens_to_ids(VIDEO),
        vision_start_token_id=words.convert_tokens_to_ids(OPEN),
        vision_end_token_id=words.convert_tokens_to_ids(CLOSE),
        tie_word_embeddings=True,
    )  # fmt: skip
    model = Qwen2_5_VLForConditionalGeneration(config)
    # As published: sampling is on, and whoever wants the likeliest answer must say so.
    model.generation_config = GenerationConfig(do_sample=True, temperature=1e-6, repetition_penalty=1.05, **ids)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_IMAGES, indent=2) + "\n", "utf-8")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": _TEMPLATE}, indent=2) + "\n", "utf-8")
