"""Which executor the options of a decoder ask for."""

from importlib import import_module

from cmvc.errors import MissingServiceError
from cmvc.profiles.registry import PROFILES
from cmvc_decoder.executors.base import Executor
from cmvc_decoder.executors.in_process import InProcessExecutor
from cmvc_decoder.options import DecoderOptions
from cmvc_decoder.weights.store import ModelStore


def make_executor(options: DecoderOptions) -> Executor:
    """Return the executor that the options ask for.

    Raises:
        UnknownProfileError, InvalidSettingError: a name or an option is not known.
        MissingServiceError: Triton is asked for, and its client is not installed.
    """
    profiles = options.profiles or tuple(PROFILES)
    local = InProcessExecutor(profiles, ModelStore(options.models).root, options.speed)
    if not options.triton:
        return local
    try:
        triton = import_module("cmvc_decoder.triton.executor")  # only here: its client is an extra
        address = triton.Address(options.triton, options.triton_key_file)
    except ModuleNotFoundError as missing:
        raise MissingServiceError(
            f"Triton needs {missing.name}, which is not installed; in a checkout run: "
            "pip install -c constraints.txt '.[cli]' './services/decoder[triton]'"
        ) from None
    executor: Executor = triton.TritonExecutor(address, profiles, local, shared_memory=options.shared_memory)
    return executor
