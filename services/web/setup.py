"""What the SDK's version decides; it stands in ``cmvc/__init__.py`` alone. Wheels are built from a checkout."""

import re
from pathlib import Path

from setuptools import setup

SDK = Path(__file__).resolve().parents[2] / "cmvc" / "__init__.py"
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', SDK.read_text(), re.MULTILINE)

setup(
    version=VERSION,
    install_requires=[
        f"cmvc-sdk=={VERSION}",  # format and client; no media: pictures are made elsewhere
        "click>=8.1",  # 'cmvc serve web', without the rest that cmvc-sdk[cli] brings
        "rich>=13.9",  # likewise
        # routes and answers; BSD-3-Clause; 0.49.1: CVE-2025-62727, Range headers that took quadratic time
        "starlette>=0.49.1",
        "uvicorn>=0.35",  # the HTTP server; BSD-3-Clause
    ],
)
