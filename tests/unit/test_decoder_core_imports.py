"""The decoder's pipeline is a library: it needs no transport and no Triton, neither installed nor loaded."""

import subprocess
import sys

import pytest

TRANSPORTS = ("grpc", "grpc_health", "tritonclient", "cmvc.wire", "cmvc.server")


@pytest.mark.parametrize("module", ["cmvc_decoder.pipeline", "cmvc_decoder.executors.in_process"])
def test_the_core_loads_no_transport(module):
    code = f"import sys, {module}; print(*[name for name in {TRANSPORTS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
