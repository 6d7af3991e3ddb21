"""Bearer tokens that a server accepts, and names for those who show them."""

import hashlib
import hmac
import logging
import time
from pathlib import Path

from cmvc.errors import InvalidSettingError

LOOK_SECONDS = 1.0  # between two looks at whether the file has changed
log = logging.getLogger(__name__)


class Tokens:
    """The tokens in a file, one a line. The file may change while the server runs: they are read again."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Raises:
            InvalidSettingError: the file has no token.
            OSError: the file cannot be read.
        """
        self._path = path
        self._state = _state(path)
        self._tokens = _read(path)
        self._looked = time.monotonic()

    def accepts(self, given: str) -> bool:
        """Return whether ``given`` is one of them; how long that takes tells nothing of them."""
        self._look()
        data = given.encode()
        return sum(hmac.compare_digest(data, token) for token in self._tokens) > 0

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        try:
            state = _state(self._path)
            if state != self._state:
                self._tokens, self._state = _read(self._path), state
                log.info("%s was read again: %d tokens", self._path, len(self._tokens))
        except (OSError, InvalidSettingError) as error:
            log.warning("the tokens stay as they were: %s", error)


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> list[bytes]:
    tokens = path.read_text().split()
    if not tokens:
        raise InvalidSettingError(f"{path} has no token; write one per line")
    return [token.encode() for token in tokens]


def name_of(secret: str) -> str:
    """Return a short name for whoever holds ``secret``, that does not tell it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]
