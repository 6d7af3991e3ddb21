"""The encoder's pipeline is a core that any transport can be put around: importing it loads none."""

import subprocess
import sys

TRANSPORTS = ("grpc", "tritonclient")


def test_the_encoders_pipeline_loads_no_transport():
    code = f"import sys, cmvc_encoder.pipeline; print(*[name for name in {TRANSPORTS!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
