"""Regional compilation: one block of the denoiser is compiled and used for all of its kind.

Compiling takes seconds instead of the minutes that a whole denoiser takes. It is done when the first frames are made,
and again for another shape of window; from the second shape on sizes are variables and it is hardly ever repeated.

Transformers name their blocks themselves. UNets are full of differently shaped parts; compiled are their transformer
blocks (``BasicTransformerBlock``, spatial and temporal), not their convolutions.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.parts import denoiser

KERNELS = ".kernels"  # folder of the model store
CACHE_DIR = "TORCHINDUCTOR_CACHE_DIR"  # environment: where torch keeps what it has compiled
_OF_UNETS = ("BasicTransformerBlock",)
_MOST_VARIANTS = 64  # of one block: widths of a UNet's levels, spatial or temporal, shapes of windows; torch's own: 8


def compiles(speed: SpeedOptions) -> bool:
    """Return whether something is compiled that is to be compiled before real work; on a CPU that takes minutes."""
    return speed.compile != "off" and speed.device != "cpu"


def keep_kernels(store: Path) -> None:
    """Have what is compiled kept in the model store, so that the next start finds it.

    Where the environment says another place, or nothing can be written there, that is left as it is; so it is where
    anybody may write, since what is kept is run.
    """
    folder = store / KERNELS
    with suppress(OSError):  # a store that can only be read may have a folder for them all the same
        folder.mkdir(mode=0o700, exist_ok=True)
    if os.access(folder, os.W_OK) and not folder.stat().st_mode & stat.S_IWOTH:
        os.environ.setdefault(CACHE_DIR, str(folder.resolve()))


def apply_compile(pipe: Any, *, whole: bool = True) -> None:
    """Compile the repeated blocks of a pipeline's denoiser, when they are first called.

    Args:
        pipe: a diffusers pipeline.
        whole: whether a block must be one graph; hooks within it, such as group offload's, break it into several.

    Raises:
        InvalidSettingError: the denoiser has no block that is known to repeat.
    """
    model = denoiser(pipe)
    names = getattr(model, "_repeated_blocks", None) or _OF_UNETS
    blocks = [part for part in model.modules() if type(part).__name__ in names]
    if not blocks:
        raise InvalidSettingError(f"{type(model).__name__} has no {' or '.join(names)} to compile; use compile=off")
    for block in blocks:
        block.compile(fullgraph=whole)


def allow_variants() -> None:
    """Let blocks be compiled in many variants in this thread: torch keeps its limit for each thread apart."""
    config: Any = torch._dynamo.config  # the limit has no public name
    config.recompile_limit = max(config.recompile_limit, _MOST_VARIANTS)


def recompile(model: Any) -> None:
    """Have the blocks of a model that are compiled, if any, compiled again when they are next called.

    For a model whose blocks have changed: variants of what they were would count against the limit for ever.
    """
    if any(part._compiled_call_impl is not None for part in model.modules()):
        torch.compiler.reset()
