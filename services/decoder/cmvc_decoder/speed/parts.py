"""The parts of a diffusers pipeline that speed features work on."""

from typing import Any

from torch import nn

from cmvc.errors import InvalidSettingError

_DENOISERS = ("transformer", "unet")
VAE = "vae"


def models(pipe: Any) -> dict[str, Any]:
    """Return the networks of a pipeline by component name, such as ``transformer``, ``text_encoder`` or ``vae``."""
    return {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}


def denoiser(pipe: Any) -> Any:
    """Return the network that runs once or twice in each step.

    Raises:
        InvalidSettingError: the pipeline has none by a name that is known here.
    """
    found = models(pipe)
    for name in _DENOISERS:
        if name in found:
            return found[name]
    raise InvalidSettingError(f"{type(pipe).__name__} has no {' or '.join(_DENOISERS)} to speed up; serve it plain")
