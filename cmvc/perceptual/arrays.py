"""Pickles of nothing but arrays: whatever else one names is refused before anything is called."""

import io
import pickle
from typing import Any

import numpy as np

from cmvc.errors import MissingWeightsError

_RECONSTRUCT = np.empty(0).__reduce__()[0]  # what NumPy's own pickles call, wherever this version keeps it
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise MissingWeightsError(f"a file of weights names {module}.{name}; only arrays are taken") from None


def read_arrays(data: bytes) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return the float32 arrays of a pickle of nested dicts, by their names joined with dots.

    Raises:
        MissingWeightsError: it holds anything else, or is damaged.
    """
    try:
        tree = _Unpickler(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise MissingWeightsError(f"a file of weights cannot be read: {error}") from None
    return dict(_flat(tree, ()))


def _flat(tree: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _flat(branch, (*path, str(name)))
    elif isinstance(tree, np.ndarray) and tree.dtype == np.float32:
        yield ".".join(path), tree
    else:
        raise MissingWeightsError(f"a file of weights has a {type(tree).__name__} at {'.'.join(path) or 'its top'}")
