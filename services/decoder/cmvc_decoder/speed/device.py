"""What ``auto`` stands for on this machine."""

from dataclasses import replace

import torch

from cmvc_decoder.speed.options import AUTO, SpeedOptions


def on_this_machine(speed: SpeedOptions) -> SpeedOptions:
    """Return the options with a device and a dtype in place of ``auto``."""
    gpu = torch.cuda.is_available()
    device = ("cuda" if gpu else "cpu") if speed.device == AUTO else speed.device
    dtype = ("float32" if device == "cpu" else "bfloat16") if speed.dtype == AUTO else speed.dtype
    return replace(speed, device=device, dtype=dtype)
