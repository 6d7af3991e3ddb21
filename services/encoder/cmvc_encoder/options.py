"""The options of an encoder."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from cmvc.options import Options, option


@attrs.frozen(kw_only=True)
class EncoderOptions(Options):
    """What an encoder works with. Whoever runs it decides; callers choose among the models that there are by name.

    Attributes:
        jobs: windows of a video that are coded at a time, each in a process of its own, up to 8; None for as many as
            there are cores. Bytes do not depend on it.
        model: the multimodal LLM of the extractors ``transformers`` (folder, or id as ``ID@REVISION``) and ``openai``
            (its name at the endpoint).
        endpoint: base URL of an OpenAI-compatible server, such as ``http://127.0.0.1:8000/v1``.
        key_file: file with the endpoint's key; None where it asks for none.
        embedding_model: the model of the embeddings ``clip`` and ``siglip``: folder, or ``ID@REVISION``.
        isolate_media: whether FFmpeg reads videos in a process of its own, which can do nothing else and can be killed;
            ``auto``: in services.
        semantics: further settings of extractors and embeddings such as ``device=cuda`` (see docs/semantics.md).
    """

    jobs: int | None = option(
        None, "Windows of a video coded at a time, up to 8.", least=1, metavar="N", default_text="the cores"
    )
    isolate_media: str = option(
        "auto",
        "Read videos in a process that can do nothing else; auto: in services.",
        choices=("auto", "always", "never"),
    )
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
