"""What the SDK's version decides; it stands in ``cmvc/__init__.py`` alone. Wheels are built from a checkout."""

import re
from pathlib import Path

from setuptools import setup

SDK = Path(__file__).resolve().parents[2] / "cmvc" / "__init__.py"
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', SDK.read_text(), re.MULTILINE)

setup(
    version=VERSION,
    install_requires=[
        f"cmvc-sdk[media,restoration]=={VERSION}",  # format, media and motion; the same commit
        # Filters system calls of what reads media, where Debian's libseccomp2 is there; without it it says so. MIT.
        "pyseccomp>=0.1.2; sys_platform == 'linux'",
    ],
)
