"""Models with random weights, made where they are to run: speed does not depend on the values.

The values are such that activations stay finite and of ordinary size in every number format: a layer keeps the variance
of its input, norms scale by one.
"""

from typing import Any

import torch
from accelerate import init_empty_weights
from torch import nn

from benchmarks.gpu.architectures import Config, build


def random_model(cls: Any, config: Config, device: str, dtype: torch.dtype) -> Any:
    """Return a model on ``device``, ready to run, without its weights ever being elsewhere.

    Args:
        cls: its class.
        config: its configuration.
        device: of torch, such as ``cuda`` or ``cpu``.
        dtype: of weights, and of buffers that a checkpoint holds.
    """
    with init_empty_weights(include_buffers=False):
        model = build(cls, config)
    if hasattr(model, "tie_weights"):
        model.tie_weights()  # which empty weights forget
    draws = torch.Generator(device).manual_seed(0)
    made: dict[int, nn.Parameter] = {}  # by the empty weight, so that those of two places are made once
    for module in model.modules():
        for name, empty in module.named_parameters(recurse=False):
            if id(empty) not in made:
                values = _values(torch.empty(empty.shape, device=device, dtype=dtype), name, draws)
                made[id(empty)] = nn.Parameter(values, requires_grad=False)
            setattr(module, name, made[id(empty)])
    saved = model.state_dict().keys()
    for name, buffer in list(model.named_buffers()):
        holder, _, last = name.rpartition(".")
        wanted = dtype if name in saved and buffer.is_floating_point() else buffer.dtype
        setattr(model.get_submodule(holder), last, buffer.to(device, wanted))
    return model.eval()


def _values(weight: torch.Tensor, name: str, draws: torch.Generator) -> torch.Tensor:
    if name.endswith("bias"):
        return weight.zero_()
    if sum(side > 1 for side in weight.shape) < 2:  # of a norm
        return weight.fill_(1)
    inputs = weight[0].numel()
    return weight.normal_(0, inputs**-0.5, generator=draws)
