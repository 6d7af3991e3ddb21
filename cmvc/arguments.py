"""Arguments of the wrong type are told by name, where they are given."""

from typing import Any


def check_types(**arguments: tuple[Any, Any]) -> None:
    """Return if every argument, given as its value and what it may be an instance of, is that or None.

    Raises:
        TypeError: one is not.
    """
    for name, (value, kinds) in arguments.items():
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            wanted = " or ".join(each.__name__ for each in (kinds if isinstance(kinds, tuple) else (kinds,)))
            raise TypeError(f"{name} has to be {wanted}, not {type(value).__name__}")
