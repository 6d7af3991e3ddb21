"""Bounds what goes to an OpenAI-compatible server and what comes back: headers, time, bytes and rate."""

import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from threading import Lock, local

import httpx2

from cmvc.errors import SemanticsError

CONNECT_SECONDS = 5.0
MOST_BYTES = 1 << 20  # of a response; an answer has some hundred bytes
# The SDK also sends what it finds in the environment (organisation, project, OPENAI_CUSTOM_HEADERS) and what machine
# it runs on. Neither is for whoever runs the endpoint.
_SENT = {"host", "accept", "connection", "content-type", "content-length", "user-agent", "x-stainless-raw-response"}


class RateLimit:
    """Spaces the requests to one endpoint, whichever stream they are from."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """Read the time in seconds from ``clock``."""
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._last = float("-inf")  # when the latest request goes out, maybe still to come

    def wait(self, per_minute: int) -> float:
        """Wait until the next request may go out, ``60 / per_minute`` seconds after the one before.

        Returns:
            Seconds waited.
        """
        with self._lock:
            now = self._clock()
            self._last = max(now, self._last + 60 / per_minute)
            pause = self._last - now
        if pause > 0:
            self._sleep(pause)
        return pause


_LIMITS: dict[str, RateLimit] = {}


def limit_of(url: str) -> RateLimit:
    """Return the limit that all streams of this process share for an endpoint."""
    return _LIMITS.setdefault(url, RateLimit())


class RequestGuard:
    """Hooks of an HTTP client. A question runs in one thread, with all of its retries."""

    def __init__(self, url: str, key: str, limit: RateLimit, *, timeout_s: float, requests_per_minute: int) -> None:
        """Guard the requests to an endpoint.

        Args:
            url: its base, for messages.
            key: bearer token.
            limit: of the endpoint.
            timeout_s: for a question, retries and the waits between them included; waits for the rate limit do not
                count.
            requests_per_minute: at most; 0 for no limit.
        """
        self._url = url
        self._key = key
        self._timeout_s = timeout_s
        self._per_minute = requests_per_minute
        self._limit = limit
        self._question = local()

    def start(self) -> None:
        """Start the time of this thread's question."""
        self._question.end = time.monotonic() + self._timeout_s

    def on_request(self, request: httpx2.Request) -> None:
        """Set headers and timeouts, when the rate limit lets the request go out.

        Raises:
            SemanticsError: the question's time is up.
        """
        for name in set(request.headers) - _SENT:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {self._key}"
        request.headers["Accept-Encoding"] = "identity"  # so that the bytes on the line are all there is
        if self._per_minute:
            self._question.end += self._limit.wait(self._per_minute)
        left = self._left()
        request.extensions = {
            **request.extensions,
            "timeout": {"connect": min(CONNECT_SECONDS, left), "read": left, "write": left, "pool": left},
        }

    def on_response(self, response: httpx2.Response) -> None:
        """Bound the body, and keep the SDK from waiting for longer than the question has.

        Raises:
            SemanticsError: the body is too long, packed, or the question's time is up.
        """
        length = response.headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > MOST_BYTES:
            raise self._too_long()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise SemanticsError(f"{self._url} answered with packed bytes, unasked; is it an OpenAI-compatible server?")
        response.headers.pop("retry-after-ms", None)  # the SDK would take it for Retry-After
        if _wait_asked_for(response) > self._left():
            response.headers["x-should-retry"] = "false"  # the SDK obeys
        response.stream = _Bounded(response.stream, self._check)

    def _check(self, size: int) -> None:
        if size > MOST_BYTES:
            raise self._too_long()
        self._left()

    def _left(self) -> float:
        """Return how many seconds the question has left."""
        left: float = self._question.end - time.monotonic()
        if left <= 0:
            raise SemanticsError(too_late(self._url, self._timeout_s))
        return left

    def _too_long(self) -> SemanticsError:
        return SemanticsError(f"{self._url} sent over {MOST_BYTES >> 20} MiB; is it an OpenAI-compatible server?")


def too_late(url: str, timeout_s: float) -> str:
    """Return what to say of a question without an answer in its time."""
    return f"{url} gave no answer within {timeout_s:g} s; give it more timeout_s, fewer tokens or a faster device"


class _Bounded(httpx2.SyncByteStream):
    """A body that is checked after each piece."""

    def __init__(self, stream: object, check: Callable[[int], None]) -> None:
        assert isinstance(stream, httpx2.SyncByteStream)  # the client is not asynchronous
        self._stream = stream
        self._check = check

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            size += len(piece)
            self._check(size)
            yield piece

    def close(self) -> None:
        self._stream.close()


def _wait_asked_for(response: httpx2.Response) -> float:
    """Return the seconds or the date of ``Retry-After`` in seconds from now; 0 where it is neither."""
    text = response.headers.get("retry-after", "")
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
