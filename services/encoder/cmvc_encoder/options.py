"""The options of an encoder."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from cmvc.options import Options, option


@attrs.frozen(kw_only=True)
class EncoderOptions(Options):
    """What an encoder understands pictures with. Whoever runs it decides; callers choose among what there is by name.

    Attributes:
        model: the multimodal LLM of the extractors ``transformers`` (folder, or id as ``ID@REVISION``) and ``openai``
            (its name at the endpoint).
        endpoint: base URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``.
        key_file: file with the endpoint's key; None where it asks for none.
        embedding_model: the model of the embeddings ``clip`` and ``siglip``: folder, or ``ID@REVISION``.
        semantics: further settings of extractors and embeddings such as ``device=cuda`` (see docs/semantics.md).
    """

    model: str = option("", "Multimodal LLM of --semantics: folder, ID@REVISION or name there.")
    endpoint: str = option("", "OpenAI-compatible server, for --semantics openai.", metavar="URL")
    key_file: Path | None = option(None, "File with the endpoint's key.", flag="--api-key-file")
    embedding_model: str = option("", "Model of --keyframes clip or siglip: folder or ID@REVISION.")
    semantics: Sequence[str] = option(
        (),
        "How those models run, such as device=cuda; repeatable.",
        flag="--semantics-set",
        name="semantics_settings",
        metavar="NAME=VALUE",
    )
