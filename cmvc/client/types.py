"""Arguments of the wrong type are told at once, by name: later they would be a puzzle in another thread."""

import os
from collections.abc import AsyncIterable, Iterable
from pathlib import Path
from typing import Any

from cmvc.arguments import check_types
from cmvc.client.call import Kind
from cmvc.control import Control


def check_source(source: Any) -> None:
    """Return if ``source`` is of a kind that can be read.

    Raises:
        TypeError: it is not.
    """
    readable = isinstance(source, str | os.PathLike | Iterable | AsyncIterable) or hasattr(source, "read")
    if not readable or isinstance(source, dict):
        raise TypeError(
            f"the source has to be a path, a binary file, bytes or an iterable of them, not {type(source).__name__}"
        )


def check_destination(destination: Any) -> None:
    """Return if ``destination`` is of a kind that can be written.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(destination, str | Path) and not hasattr(destination, "write"):
        raise TypeError(f"the destination has to be a path or a binary file, not {type(destination).__name__}")


def check_call(source: Any, progress: Any, deadline_s: Any, control: Any, token: Any) -> None:
    """Return if what a call is given besides its config is of the right types.

    Raises:
        TypeError: something is not.
    """
    check_source(source)
    check_types(deadline_s=(deadline_s, (int, float)), control=(control, Control), token=(token, str))
    if progress is not None and not callable(progress):
        raise TypeError(f"progress has to be something to call, not {type(progress).__name__}")


def config_of(kind: Kind, config: Any) -> Any:
    """Return the config of a call, the default one for None.

    Raises:
        TypeError: it is no config of this kind of call.
    """
    check_types(config=(config, kind.config))
    return kind.config() if config is None else config
