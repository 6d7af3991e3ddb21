"""What ``cmvc doctor`` finds out about the decoder: what runs the models, whose weights are here, and Triton.

Weights and Triton are looked at where the libraries of models are not installed, too.
"""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from cmvc.errors import InvalidSettingError
from cmvc.findings import Finding, Health
from cmvc.options import from_environment
from cmvc_decoder.findings.weights import Room, examine_weights
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.speed.options import read_speed
from cmvc_decoder.weights.store import ModelStore

_INSTALL = "in a checkout: pip install -c constraints.txt '.[cli]' './services/decoder[diffusion,triton]'"
_RUNNING = "CMVC_SERVE_DECODER_RUNNING"


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
    yield _at_once()
    yield from examine_weights(ModelStore(models), room)
    try:
        serving = import_module("cmvc_decoder.findings.serving")
    except ModuleNotFoundError as missing:
        yield Finding("Triton", Health.ABSENT, f"{missing.name} is not installed", _INSTALL)
    else:
        yield from serving.examine_triton(triton)


def _at_once() -> Finding:
    """Return what is said of how many segments a decoder with a model works on at once, as the environment has it."""
    try:
        speed = read_speed(from_environment(DecoderOptions).speed)
    except InvalidSettingError as error:
        return Finding("speed", Health.FAULT, str(error), "mend CMVC_SPEED (docs/speed.md)")
    found = f"batch={speed.batch}: {speed.in_work} segments at once keep a model busy"
    given = os.environ.get(_RUNNING, "")
    if given.isdecimal() and int(given) < speed.in_work:
        advice = f"leave {_RUNNING} out, or say {speed.in_work} or more"
        return Finding("speed", Health.OK, f"{found}; a decoder here works on {given}", advice)
    return Finding("speed", Health.OK, found)
