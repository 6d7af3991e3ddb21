"""The options of a decoder."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from cmvc.options import Options, option


@attrs.frozen(kw_only=True)
class DecoderOptions(Options):
    """What a decoder generates with.

    Attributes:
        profiles: generator profiles to serve; none at all for every one that there is.
        models: root of the model store; None for the default one.
        speed: speed options such as ``dtype=bfloat16`` (see docs/speed.md).
        triton: ``HOST:PORT`` of a Triton server that runs the profiles with weights; "" to run them in this process.
        triton_key_file: file whose first line is the key that opens that server.
        shared_memory: whether frames come from Triton in shared memory, which needs it on the same host.
        memory_mib: that a server's segments in work share with the rest of its process; None for all that it may use.
    """

    profiles: Sequence[str] = option(
        ("embedded",), "A generator profile to serve; repeatable.", flag="--profile", metavar="ID"
    )
    models: Path | None = option(
        None,
        "Model store, as 'cmvc models' fills it.",
        variable="CMVC_MODELS",
        default_text="~/.cache/cmvc/models",
        folder=True,
    )
    speed: Sequence[str] = option(
        (),
        "Where and how fast generators run, such as dtype=bfloat16; repeatable.",
        metavar="NAME=VALUE",
        variable="CMVC_SPEED",
    )
    triton: str = option(
        "",
        "Triton server that runs the profiles with weights.",
        metavar="HOST:PORT",
        variable="CMVC_TRITON",
        default_text="run them here",
    )
    triton_key_file: Path | None = option(
        None, "File with the key that opens that server.", variable="CMVC_TRITON_KEY_FILE"
    )
    shared_memory: bool = option(False, "Take frames from Triton in shared memory (same host only).")
    memory_mib: int | None = option(
        None,
        "MiB of memory for a server; a segment too large beside those in work waits for them.",
        least=1,
        default_text="the container's or the machine's",
    )
