"""Tokenizers of a few words. They pad as the real ones do, so that the text encoders work on as many tokens."""

import string

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTokenizer, T5TokenizerFast

_CLIP_TOKENS = 77
_LETTERS = string.ascii_lowercase


def t5() -> T5TokenizerFast:
    """Return a T5 tokenizer of single letters."""
    words = ("<pad>", "</s>", "<unk>", *_LETTERS, ".", ",", "▁")
    vocabulary = [(word, 0.0 if word.startswith("<") else -3.0) for word in words]
    core = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    return T5TokenizerFast(vocab=vocabulary, extra_ids=0)


def clip() -> CLIPTokenizer:
    """Return a CLIP tokenizer of single letters."""
    words = ("!", *_LETTERS, *(f"{letter}</w>" for letter in _LETTERS), "<|startoftext|>", "<|endoftext|>")
    vocabulary = {word: number for number, word in enumerate(words)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], pad_token="!", model_max_length=_CLIP_TOKENS)
