"""What has to stay light: the client and the gateway run where PyAV, NumPy and OpenCV are not installed."""

import subprocess
import sys

import pytest

HEAVY = ("av", "numpy", "cv2", "torch", "scipy")
GENERATORS = ("torch", "diffusers", "transformers", "tritonclient", "huggingface_hub")


@pytest.mark.parametrize(
    "module", ["cmvc", "cmvc.client", "cmvc_gateway.service", "cmvc_web.service", "cmvc.cli.serve", "cmvc.cli.encode"]
)
def test_module_imports_nothing_heavy(module):
    code = f"import sys, {module}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


MODELS = ("torch", "transformers", "PIL", "openai", "httpx2")


@pytest.mark.parametrize("module", ["cmvc_decoder.service", "cmvc_decoder.models.command"])
def test_a_decoder_without_weights_needs_none_of_what_generators_do(module):
    code = f"import sys; sys.modules.update(dict.fromkeys({GENERATORS!r})); import {module}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_encoder_without_models_needs_none_of_what_they_do():
    code = f"import sys; sys.modules.update(dict.fromkeys({MODELS!r})); import cmvc_encoder.service"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
