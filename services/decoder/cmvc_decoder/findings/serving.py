"""Whether Triton is installed here, can be reached, and runs models that are alive."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tritonclient.utils import InferenceServerException

from cmvc.control import Control
from cmvc.errors import CmvcError, InvalidSettingError
from cmvc.findings import Finding, Health
from cmvc.profiles.registry import MODEL_PROFILES
from cmvc_decoder.triton.address import Address
from cmvc_decoder.triton.call import ask, open_client
from cmvc_decoder.triton.supervisor import Installation
from cmvc_decoder.triton.wire import CANARY

_USUAL = "127.0.0.1:8001"  # where ``cmvc triton`` listens by default
_PATIENCE_S = 5.0  # for a server
_CANARY_S = 20.0  # for a model, which may have work in line


def examine_triton(target: str) -> Iterator[Finding]:
    """Yield what is said of Triton; of the server at ``target``, or at the usual address if one is there."""
    yield _installation()
    if _is_ready(target or _USUAL):
        yield Finding("Triton", Health.OK, f"reached at {target or _USUAL}", f"decoders: --triton {target or _USUAL}")
        yield from _models(target or _USUAL)
    elif target:
        yield Finding("Triton", Health.FAULT, f"nothing answers at {target}", "start it: cmvc triton --profile ID")
    else:
        advice = "start one with cmvc triton --profile ID, or name one with --triton; decoders can do without"
        yield Finding("Triton", Health.ABSENT, f"none runs at {_USUAL}", advice)


def _installation() -> Finding:
    folders = (os.environ.get("CMVC_TRITON_SERVER", ""), "/opt/tritonserver", ".triton")
    for folder in filter(None, folders):
        try:
            found = Installation.find(Path(folder))
        except InvalidSettingError:
            continue
        return Finding("tritonserver", Health.OK, str(found.server), f"cmvc triton --server {folder} --profile ID")
    advice = "use NVIDIA's image (docker/triton.Dockerfile), or 'make triton' in a checkout for one on CPUs"
    return Finding("tritonserver", Health.ABSENT, "not installed here", advice)


def _address(target: str) -> Address:
    """Return the server at ``target``, with the key that a decoder here would send."""
    key_file = os.environ.get("CMVC_TRITON_KEY_FILE")
    return Address(target, Path(key_file) if key_file else None)


def _is_ready(target: str) -> bool:
    client = open_client(_address(target))
    try:
        return bool(client.is_server_ready(client_timeout=_PATIENCE_S))
    except InferenceServerException:
        return False
    finally:
        client.close()


def _models(target: str) -> Iterator[Finding]:
    """Yield what each model that Triton calls ready answers itself: Triton says so of dead ones, too."""
    client = open_client(_address(target))
    try:
        served = [each for each in MODEL_PROFILES if client.is_model_ready(each, client_timeout=_PATIENCE_S)]
    finally:
        client.close()
    for profile in served:
        yield _model(target, profile)


def _model(target: str, profile: str) -> Finding:
    control = Control(deadline=time.monotonic() + _CANARY_S)
    try:
        for _ in ask(_address(target), profile, CANARY, control):
            pass
    except CmvcError as error:
        advice = "its log says more; one that works on a long segment answers later"
        return Finding(f"{profile} in Triton", Health.FAULT, f"no sign of life: {error}", advice)
    return Finding(f"{profile} in Triton", Health.OK, "it answers")
