"""All speed features of a loaded pipeline, in the order in which they work together."""

from typing import Any

from cmvc_decoder.speed.attention import apply_attention
from cmvc_decoder.speed.compile import apply_compile
from cmvc_decoder.speed.offload import apply_offload
from cmvc_decoder.speed.options import SpeedOptions
from cmvc_decoder.speed.parts import models
from cmvc_decoder.speed.precision import apply_precision
from cmvc_decoder.speed.tiling import apply_tiling


def apply_speed(pipe: Any, speed: SpeedOptions) -> None:
    """Make a pipeline as fast as ``speed`` asks for, in place, and put it on its device.

    The step cache and few steps are not here: they shape frames, so a run gets them from its ``Settings``.

    Args:
        pipe: a diffusers pipeline, with or without ``transformer``, ``unet``, ``vae``, ``text_encoder`` or
            ``controlnet``; it may share models with another that has been made fast already.
        speed: what the operator chose.

    Raises:
        InvalidSettingError: a feature does not work with this model or on this device.
    """
    apply_precision(pipe, speed)  # before the copy to the device, which it halves
    offloaded = speed.offload == "group"
    if offloaded:
        apply_offload(pipe, speed.device)
    else:
        for model in models(pipe).values():
            model.to(speed.device)
    if speed.attention:
        apply_attention(pipe, speed.attention, speed.device)
    if speed.tiling:
        apply_tiling(pipe)
    if speed.compile == "regional":  # last: it sees the blocks as they will be called
        apply_compile(pipe, whole=not offloaded)
