"""What a decoder shows of a coded video, measured from every so many frames."""

from collections.abc import Iterator, Sequence

from cmvc.bitstream.av1pack.first_headers import first_quantiser
from cmvc.media import av1
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture, resize, resize_luma
from cmvc.restoration.restorer import Restorer, told_of
from cmvc_encoder.coding.measure import Pair


def plain_pairs(pictures: Sequence[Picture], obus: bytes, step: int, every: int) -> Iterator[Pair]:
    """Yield lumas of every so many of ``pictures``, and those shown in their place where the video is only scaled."""
    for n, picture in enumerate(fill_frames(av1.decode(obus), step, len(pictures))):
        if n % every == 0:
            yield pictures[n].y, resize_luma(picture, pictures[n].width, pictures[n].height)


def restored_pairs(
    pictures: Sequence[Picture], obus: bytes, step: int, every: int, restorer: Restorer
) -> Iterator[Pair]:
    """Yield the same where it is restored, at the size of ``pictures``."""
    width, height = pictures[0].width, pictures[0].height
    if step > 1:  # what is between follows from all that are coded
        coded = restorer.restored(av1.decode(obus), width, height, first_quantiser(obus))
        shown = enumerate(fill_frames(coded, step, len(pictures)))
        yield from ((pictures[n].y, picture.y) for n, picture in shown if n % every == 0)
        return
    decoded = list(av1.decode(obus))
    told = told_of(decoded[0], (width, height), first_quantiser(obus))
    last = len(decoded) - 1
    for n in range(0, len(pictures), every):
        before, now, after = (resize(decoded[at], width, height) for at in (max(n - 1, 0), n, min(n + 1, last)))
        yield pictures[n].y, restorer.restore(before, now, after, told).y
