"""From diffusers' callback at the end of a denoising step to ours."""

from collections.abc import Callable
from typing import Any

from cmvc_decoder.diffusion.profile import StepCallback


def step_end(pipe: Any, step: StepCallback) -> Callable[..., dict[str, Any]]:
    """Return the ``callback_on_step_end`` for one run of ``pipe`` that tells ``step``; what it raises ends the run."""

    def ended(_pipe: Any, index: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        step(index + 1, pipe.num_timesteps)
        return tensors

    return ended
