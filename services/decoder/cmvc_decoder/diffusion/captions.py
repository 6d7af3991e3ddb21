"""How long captions are to the tokenizers of models, which cut what is too long in silence."""

from typing import Any

from cmvc.notes import Note
from cmvc.profiles.profile import ModelProfile


def count_tokens(tokenizer: Any, text: str) -> int:
    """Return how many tokens a text is, marks of its beginning and end included where the tokenizer sets them."""
    return len(tokenizer(text).input_ids)


def cut_note(facts: ModelProfile) -> str:
    """Return the note that a caption was longer than the model of a profile reads."""
    return Note.TEXT_CUT.line(
        f"a caption is longer than the {facts.text_tokens} tokens that {facts.id} reads; what is past them shaped no "
        "frame: encode with --profile, which keeps captions within them"
    )
