"""A tiny Wan VACE pipeline."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

_WORDS = ("</s>", "<pad>", "<unk>", *"abcdefghijklmnopqrstuvwxyz.,", "▁")


def tokenizer() -> T5TokenizerFast:
    """Return a T5 tokenizer of single letters, so that any caption has tokens."""
    vocabulary = [(word, 0.0 if word.startswith("<") else -3.0) for word in _WORDS]
    core = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


def write(folder: Path) -> None:
    """Write ``folder/pipeline`` as the real checkpoint's repository is laid out."""
    torch.manual_seed(1)
    text = UMT5Config(vocab_size=len(_WORDS), d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    vae = AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    transformer = WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=16,
        freq_dim=32,
        ffn_dim=32,
        num_layers=4,
        vace_layers=[0, 2],
        vace_in_channels=96,
    )
    WanVACEPipeline(
        tokenizer=tokenizer(),
        text_encoder=UMT5EncoderModel(text).eval(),
        vae=vae.eval(),
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000, flow_shift=3.0
        ),
        transformer=transformer.eval(),
    ).save_pretrained(folder / "pipeline")
