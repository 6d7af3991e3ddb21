"""The decoded video of one result: a file that grows, with what is known of its fragments."""

from cmvc_web.fragments import Fragments
from cmvc_web.growing import Changes, GrowingFile


class Video:
    """One video, while it is decoded and afterwards.

    Attributes:
        file: the MP4.
        fragments: of it.
        seconds: how long it lasts, once it is whole.
        viewers: how many watch.
        wanted_until: when it is no longer worth decoding for those who have left, on the clock of ``time.monotonic``.
    """

    def __init__(self, file: GrowingFile) -> None:
        self.file = file
        self.fragments = Fragments()
        self.seconds = 0.0
        self.viewers = 0
        self.wanted_until = 0.0
        self._changes = Changes()

    def write(self, data: bytes) -> None:
        """Append ``data``.

        Raises:
            CmvcError: there is no room for it, or it is no MP4.
        """
        self.fragments.feed(data)
        self.file.write(data)
        self._changes.tell()

    def end(self) -> None:
        """Nothing more comes."""
        self._changes.tell()

    async def codecs(self) -> str:
        """Return what plays it, once that is known.

        Raises:
            CmvcError: it cannot be decoded.
        """
        while not self.fragments.codecs and not self.file.ended:
            await self._changes.wait()
        if self.file.error:
            raise self.file.error
        return self.fragments.codecs

    async def more(self, count: int) -> None:
        """Wait until there are more than ``count`` fragments, or no more come."""
        while len(self.fragments.found) <= count and not self.file.ended:
            await self._changes.wait()
