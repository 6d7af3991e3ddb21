"""Bearer tokens that a server accepts, what each may do, and names for those who show them."""

import hashlib
import hmac
import logging
import time
from pathlib import Path

from cmvc.errors import InvalidSettingError
from cmvc.server.scopes import read_scopes

LOOK_SECONDS = 1.0  # between two looks at whether the file has changed
log = logging.getLogger(__name__)


class Tokens:
    """The tokens in a file, one a line, each with its scopes. The file may change meanwhile: it is read again."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Raises:
            InvalidSettingError: the file has no token, or a line that is none.
            OSError: the file cannot be read.
        """
        self._path = path
        self._state = _state(path)
        self._tokens = _read(path)
        self._looked = time.monotonic()

    def scopes(self, given: str) -> frozenset[str] | None:
        """Return what ``given`` may do, None where it is not accepted; how long that takes tells nothing of them."""
        self._look()
        data = given.encode()
        found = [scopes for token, scopes in self._tokens if hmac.compare_digest(data, token)]
        return found[0] if found else None

    def accepts(self, given: str) -> bool:
        """Return whether ``given`` is one of them, whatever it may do."""
        return self.scopes(given) is not None

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


def _read(path: Path) -> list[tuple[bytes, frozenset[str]]]:
    lines = [line.split() for line in path.read_text().splitlines()]
    tokens = [_token(words, f"line {number} of {path}") for number, words in enumerate(lines, 1) if words]
    if not tokens:
        raise InvalidSettingError(f"{path} has no token; write one per line")
    return tokens


def _token(words: list[str], where: str) -> tuple[bytes, frozenset[str]]:
    if len(words) > 2:
        raise InvalidSettingError(f"{where} is not TOKEN [SCOPE,...]; write such as: s3cret encode,decode")
    token, scopes = words[0], words[1] if len(words) == 2 else ""
    return token.encode(), read_scopes(scopes, where)


def name_of(secret: str) -> str:
    """Return a short name for whoever holds ``secret``, that does not tell it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]
