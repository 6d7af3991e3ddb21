"""Group offload: weights wait in host memory and are copied to the GPU in a stream of their own while others compute.

The blocks of a transformer go one by one, all other networks layer by layer. The VAE stays on the GPU: it is small, and
keeps what it carries from frame to frame in lists that must not be copied.
"""

from typing import Any
from weakref import WeakSet

import torch
from diffusers.hooks import apply_group_offloading

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.parts import VAE, models

_offloaded: WeakSet[torch.nn.Module] = WeakSet()  # in groups already: pipelines share models


def apply_offload(pipe: Any, device: str) -> None:
    """Offload the networks of a pipeline that is in host memory; those that another pipeline shares, only once.

    Args:
        pipe: a diffusers pipeline.
        device: where they compute.

    Raises:
        InvalidSettingError: that device has no streams to copy in.
    """
    target = torch.device(device)
    if target.type != "cuda":
        raise InvalidSettingError(f"offload=group needs a CUDA device, not {device}; use offload=none")
    for name, model in models(pipe).items():
        if name == VAE:
            model.to(target)
        elif model not in _offloaded:
            blocks = {"offload_type": "block_level", "num_blocks_per_group": 1}
            kind = blocks if name == "transformer" else {"offload_type": "leaf_level"}
            apply_group_offloading(model, onload_device=target, use_stream=True, record_stream=True, **kind)
            _offloaded.add(model)
