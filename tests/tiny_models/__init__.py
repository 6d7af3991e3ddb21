"""Tiny models: the real classes at toy sizes with random weights, in the real on-disk format.

They go through the same ``from_pretrained`` as the real checkpoints. They test loading, shapes, determinism and
cancellation; what they make looks like nothing.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path


def _write(module: str, folder: Path) -> None:
    import_module(f"{__name__}.{module}").write(folder)


WRITERS: dict[str, Callable[[Path], None]] = {
    "wan-vace-1.3b": partial(_write, "wan_vace"),
    "ltx-video": partial(_write, "ltx_video"),
    "animatediff": partial(_write, "animatediff"),
    "videocrafter2": partial(_write, "videocrafter2"),
    "swiftvr": partial(_write, "swiftvr"),
}


def store(root: Path, *profiles: str) -> None:
    """Write the tiny models of profiles as a model store."""
    for profile in profiles:
        WRITERS[profile](root / profile)
