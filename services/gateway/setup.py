"""What the SDK's version decides; it stands in ``cmvc/__init__.py`` alone. Wheels are built from a checkout."""

import re
from pathlib import Path

from setuptools import setup

SDK = Path(__file__).resolve().parents[2] / "cmvc" / "__init__.py"
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', SDK.read_text(), re.MULTILINE)

setup(
    version=VERSION,
    install_requires=[
        f"cmvc-sdk=={VERSION}",  # format and stubs; no media, so that the image stays small
        "click>=8.1",  # 'cmvc serve gateway', without the rest that cmvc-sdk[cli] brings
        "rich>=13.9",  # likewise
        "uvloop>=0.21",  # an event loop in C: of what the gateway adds to a segment, most is turns of the loop
    ],
)
