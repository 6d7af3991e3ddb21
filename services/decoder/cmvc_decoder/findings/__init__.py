"""What ``cmvc doctor`` finds out about the decoder: what runs the models, whose weights are here, and Triton.

Weights and Triton are looked at where the libraries of models are not installed, too.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from cmvc.findings import Finding, Health
from cmvc_decoder.findings.weights import Room, examine_weights
from cmvc_decoder.weights.store import ModelStore

_INSTALL = "in a checkout: pip install -c constraints.txt '.[cli]' './services/decoder[diffusion,triton]'"


def examine(models: Path | None, triton: str) -> Iterator[Finding]:
    """Yield what is found, in the order in which it is needed.

    Args:
        models: root of the model store; None for the default one.
        triton: ``HOST:PORT`` of a Triton server; "" for the usual one, if it is there.
    """
    yield Finding("decoder", Health.OK, "installed; the profile embedded needs nothing more")
    room = Room()
    try:  # what needs an extra is imported here
        device = import_module("cmvc_decoder.findings.device")
    except ModuleNotFoundError as missing:
        yield Finding("torch", Health.ABSENT, f"{missing.name} is not installed", _INSTALL)
    else:
        yield from device.examine_torch()
        room = device.gpu_room()
    yield from examine_weights(ModelStore(models), room)
    try:
        serving = import_module("cmvc_decoder.findings.serving")
    except ModuleNotFoundError as missing:
        yield Finding("Triton", Health.ABSENT, f"{missing.name} is not installed", _INSTALL)
    else:
        yield from serving.examine_triton(triton)
