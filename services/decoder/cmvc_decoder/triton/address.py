"""Where a Triton server is, and what opens it."""

from dataclasses import dataclass
from pathlib import Path

from cmvc.errors import InvalidSettingError

KEY = "cmvc"  # name of the key in Triton's options
_HEADER = f"triton-grpc-protocol-{KEY}"


@dataclass(frozen=True)
class Address:
    """A Triton server.

    Attributes:
        target: ``HOST:PORT``.
        key_file: file whose first line opens what the server keeps from strangers; None where nothing is kept.
    """

    target: str
    key_file: Path | None = None

    def __str__(self) -> str:
        """Return ``target``."""
        return self.target

    def headers(self) -> dict[str, str]:
        """Return what is sent along with every call.

        Raises:
            InvalidSettingError: the key file is empty or cannot be read.
        """
        return {_HEADER: read_key(self.key_file)} if self.key_file else {}


def read_key(path: Path) -> str:
    """Return the key in a file.

    Raises:
        InvalidSettingError: there is none.
    """
    try:
        words = path.read_text().split()
    except OSError as error:
        raise InvalidSettingError(f"the key of Triton cannot be read from {path}: {error.strerror}") from None
    if not words:
        raise InvalidSettingError(f"{path} has no key; write one on the first line (openssl rand -hex 32)")
    return words[0]
