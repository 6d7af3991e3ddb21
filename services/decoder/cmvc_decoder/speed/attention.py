"""The kernel that computes attention, where the denoiser lets one choose (transformers of diffusers do, UNets do not).

A backend is tried on a few random numbers of the model's format and head size before it is taken, so that a kernel
which is not installed, or not for this device, is refused when the model is loaded and not in the first segment.
Text is masked in some models (LTX-Video); a kernel without masks is taken for all other attention there.
"""

from typing import Any

import torch
from diffusers.models.attention import AttentionModuleMixin
from diffusers.models.attention_dispatch import AttentionBackendName, attention_backend, dispatch_attention_fn

from cmvc.errors import InvalidSettingError
from cmvc_decoder.speed.parts import denoiser

_NATIVE = "native"
_TOKENS = 128
_USUAL_HEAD = 128  # channels of a head in Wan
_TO_TEXT = ".attn2"  # name of the attention of a block that may be masked
_DOWNLOADED = "_hub"  # ending of backends whose kernels diffusers downloads


def apply_attention(pipe: Any, backend: str, device: str) -> None:
    """Let the denoiser of a pipeline compute attention with ``backend``.

    Args:
        pipe: a diffusers pipeline.
        backend: name in diffusers' dispatcher.
        device: where it will run.

    Raises:
        InvalidSettingError: there is no such backend, it is not installed or does not work here, or the denoiser does
            not let one choose.
    """
    model = denoiser(pipe)
    chosen: dict[str, Any] = {
        name: part for name, part in model.named_modules() if isinstance(part, AttentionModuleMixin)
    }
    if not chosen:
        raise InvalidSettingError(
            f"{type(model).__name__} computes attention with torch's own kernels only; leave attention={backend} out"
        )
    _check_name(backend)
    head = next(iter(chosen.values()))
    size = head.to_q.out_features // head.heads
    reason = _failure(backend, size, model.dtype, device, masked=False)
    if reason:
        raise InvalidSettingError(f"attention={backend} does not work here: {reason}; use attention={_NATIVE}")
    with attention_backend(_NATIVE):  # restores the choice of the whole process, which the next line changes
        model.set_attention_backend(backend)
    if _failure(backend, size, model.dtype, device, masked=True):
        for name, part in chosen.items():
            if name.endswith(_TO_TEXT):
                part.set_attention_backend(_NATIVE)


def working_backends(dtype: str, device: str) -> list[str]:
    """Return the backends that can compute attention in a format (such as ``bfloat16``) on a device."""
    return [each for each in _names() if not _failure(each, _USUAL_HEAD, getattr(torch, dtype), device, masked=False)]


def _names() -> list[str]:
    return sorted(each.value for each in AttentionBackendName if not each.value.endswith(_DOWNLOADED))


def _check_name(backend: str) -> None:
    names = _names()
    if backend.endswith(_DOWNLOADED):
        raise InvalidSettingError(
            f"attention={backend} downloads its kernel; nothing is downloaded while serving, choose one of "
            f"{', '.join(names)}"
        )
    if backend not in names:
        raise InvalidSettingError(f"attention={backend} is not known; choose one of {', '.join(names)}")


def _failure(backend: str, size: int, dtype: torch.dtype, device: str, *, masked: bool) -> str:
    """Return why a backend cannot compute attention of heads of ``size`` channels; "" where it can."""
    numbers = torch.randn(1, _TOKENS, 1, size, dtype=dtype, device=device)
    mask = torch.zeros(1, 1, 1, _TOKENS, dtype=dtype, device=device) if masked else None
    try:
        with torch.inference_mode(), attention_backend(backend):
            dispatch_attention_fn(numbers, numbers, numbers, attn_mask=mask)
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        return f"{error or type(error).__name__}".splitlines()[0]
    return ""
