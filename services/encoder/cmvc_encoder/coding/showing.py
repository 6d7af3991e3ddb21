"""What a decoder shows of a coded video, measured from every so many frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cmvc.bitstream.av1pack.first_headers import first_quantiser
from cmvc.media import av1
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture
from cmvc.media.scaling import resize, resize_luma
from cmvc.restoration.restorer import Restorer, told_of
from cmvc.restoration.size import is_restored
from cmvc_encoder.coding.measure import Pair


@dataclass(frozen=True)
class Shown:
    """How a decoder makes its frames of a coded video.

    Attributes:
        step: frames from one coded picture to the next.
        by_motion: whether those between follow what moves, or are cross-faded.
        restorer: None where pictures are only scaled.
    """

    step: int
    by_motion: bool = True
    restorer: Restorer | None = None

    def pairs(self, pictures: Sequence[Picture], obus: bytes, every: int) -> Iterator[Pair]:
        """Yield lumas of every so many of ``pictures``, and of those that are shown in their place, at their size."""
        if self.restorer is None:
            return self._scaled(pictures, obus, every)
        if self.step > 1 and not self.by_motion:
            return self._faded(pictures, obus, every, self.restorer)
        return self._restored(pictures, obus, every, self.restorer)

    def _scaled(self, pictures: Sequence[Picture], obus: bytes, every: int) -> Iterator[Pair]:
        shown = fill_frames(av1.decode(obus), self.step, len(pictures), by_motion=self.by_motion, every=every)
        for original, picture in zip(pictures[::every], shown, strict=True):
            yield original.y, resize_luma(picture, original.width, original.height)

    def _faded(self, pictures: Sequence[Picture], obus: bytes, every: int, restorer: Restorer) -> Iterator[Pair]:
        width, height = pictures[0].width, pictures[0].height
        coded = restorer.restored(av1.decode(obus), width, height, first_quantiser(obus))
        shown = fill_frames(coded, self.step, len(pictures), every=every)
        yield from ((original.y, picture.y) for original, picture in zip(pictures[::every], shown, strict=True))

    def _restored(self, pictures: Sequence[Picture], obus: bytes, every: int, restorer: Restorer) -> Iterator[Pair]:
        width, height = pictures[0].width, pictures[0].height
        coded = list(av1.decode(obus))
        if not is_restored(coded[0].width, coded[0].height):
            yield from self._scaled(pictures, obus, every)
            return
        told = told_of(coded[0], (width, height), first_quantiser(obus))
        last = len(pictures) - 1
        for n in range(0, len(pictures), every):
            around = self._filled(coded, range(max(n - 1, 0), min(n + 1, last) + 1))
            shown = {at: resize(picture, width, height) for at, picture in around.items()}
            before, after = shown.get(n - 1, shown[n]), shown.get(n + 1, shown[n])
            yield pictures[n].y, restorer.restore(before, shown[n], after, told).y

    def _filled(self, coded: Sequence[Picture], frames: range) -> dict[int, Picture]:
        """Return some frames that follow each other, two steps long at most, without making all of them."""
        first = frames.start // self.step
        start = first * self.step
        made = fill_frames(coded[first : first + 3], self.step, frames.stop - start, by_motion=True)
        return {start + number: picture for number, picture in enumerate(made) if start + number in frames}
