"""What has to stay light: the client and the gateway run where PyAV, NumPy and OpenCV are not installed."""

import subprocess
import sys

import pytest

HEAVY = ("av", "numpy", "cv2", "torch", "scipy")


@pytest.mark.parametrize("module", ["cmvc.client", "cmvc_gateway.service", "cmvc.cli.serve", "cmvc.cli.encode"])
def test_module_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
