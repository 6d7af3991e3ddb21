"""Where an OpenAI-compatible server is, and the key that it takes."""

import logging
import re
import stat
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from cmvc.addresses import is_loopback_host, is_near
from cmvc.errors import InvalidSettingError

_EXAMPLE = "write such as http://127.0.0.1:8000/v1"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?")  # RFC 1123, and the underscore of Docker's names
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")  # RFC 3986
_KEY = re.compile(rb"[!-~]+")  # what an HTTP header can carry
_LONGEST_KEY = 4096  # bytes
_SHARED = stat.S_IRWXG | stat.S_IRWXO
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server.

    Attributes:
        url: its base, without a slash at the end, credentials, query and fragment.
        host: name or address, an IPv6 address in brackets.
        key: bearer token; empty where none is sent.
    """

    url: str
    host: str
    key: str = field(repr=False)

    @property
    def is_near(self) -> bool:
        """Whether it is on this machine or in its own network, where no proxy belongs."""
        return is_near(self.host)


def read_endpoint(url: str, key_file: Path | None) -> Endpoint:
    """Return the endpoint at ``url`` with the key that ``key_file`` holds now.

    The environment variable ``OPENAI_API_KEY`` is left alone: it is a key for one provider, and whoever runs the
    endpoint would get it.

    Raises:
        InvalidSettingError: the URL is none that can be asked, the file holds no key, or the key would travel in the
            clear.
    """
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    key = _read_key(key_file) if key_file else ""
    if key and parts.scheme == "http" and not is_loopback_host(host):
        raise InvalidSettingError(
            f"the key for {host} would travel in the clear; give it an https:// endpoint, or a tunnel to 127.0.0.1"
        )
    return Endpoint(f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}", host, key)


def _split(url: str) -> SplitResult:
    """Return the parts of a URL that can be asked. What does not pass is not repeated: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidSettingError(f"the endpoint is not a URL; {_EXAMPLE}") from None
    if "@" in parts.netloc:
        raise InvalidSettingError("the endpoint's URL must hold no password; put the key into a file")
    if parts.scheme not in {"http", "https"} or not _is_host(parts.hostname or "") or port == 0:
        raise InvalidSettingError(f"the endpoint is not the http:// or https:// URL of a server; {_EXAMPLE}")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise InvalidSettingError(f"the endpoint must be a base URL without ?, # and spaces; {_EXAMPLE}")
    return parts


def _is_host(host: str) -> bool:
    if ":" not in host:
        return bool(_NAME.fullmatch(host))
    try:
        return "%" not in host and ip_address(host).version == 6
    except ValueError:
        return False


def _read_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_KEY + 1).strip()
            mode = path.stat().st_mode
    except OSError as error:
        raise InvalidSettingError(f"cannot read the endpoint's key from '{path}': {error.strerror}") from None
    if len(text) > _LONGEST_KEY or not _KEY.fullmatch(text):
        raise InvalidSettingError(f"'{path}' holds no key; put the key alone into it, as one line of ASCII")
    if mode & _SHARED:
        _warn_of_readers(path)
    return text.decode("ascii")


@cache  # once a process, not with each stream
def _warn_of_readers(path: Path) -> None:
    log.warning("the key in '%s' can be read by others; run: chmod 600 '%s'", path, path)
