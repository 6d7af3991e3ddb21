"""What has been released of a stream to its client: whoever goes on with it has to begin with the same bytes."""

import hashlib

from cmvc.errors import ServerError


class Released:
    """The bytes that left so far, as their number and hash.

    Attributes:
        size: their number.
    """

    def __init__(self, who: str) -> None:
        """Begin with none; ``who`` writes them, in the plural."""
        self._who = who
        self.size = 0
        self._hash = hashlib.sha256()
        self._begin()

    def _begin(self) -> None:
        self._wanted = (self.size, self._hash.digest())
        self._seen = 0
        self._again = hashlib.sha256()

    def again(self) -> None:
        """Expect the stream from its start once more."""
        self._begin()

    def new(self, data: bytes) -> bytes:
        """Return what of the next bytes is to be released.

        Raises:
            ServerError: what was released already begins otherwise.
        """
        size, digest = self._wanted
        known = data[: max(size - self._seen, 0)]
        self._seen += len(known)
        self._again.update(known)
        if known and self._seen == size and self._again.digest() != digest:
            raise self._differ()
        new = data[len(known) :]
        self.size += len(new)
        self._hash.update(new)
        return new

    def end(self) -> None:
        """Say that nothing more comes.

        Raises:
            ServerError: more was released than came this time.
        """
        if self._seen < self._wanted[0]:
            raise self._differ()

    def _differ(self) -> ServerError:
        return ServerError(f"two {self._who} write differently; run the same version and FFmpeg on all of them")
