"""Pictures in memory that processes share: a window is handed to a worker without being copied again."""

import mmap
import os
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from cmvc.media.picture import Picture, Plane, chroma_size
from cmvc.processes.memory import shared_memory
from cmvc_encoder.ingest.window import Window


@dataclass(frozen=True)
class Layout:
    """How pictures of one size lie in memory: planes one after the other, one picture after the other.

    Attributes:
        width, height: of each picture in pixels.
        places: which of the pictures in memory each picture is; several may be the same one.
    """

    width: int
    height: int
    places: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of all pictures in memory."""
        return (max(self.places) + 1) * self.picture_size

    @property
    def picture_size(self) -> int:
        """Bytes of one picture."""
        width, height = chroma_size(self.width, self.height)
        return self.width * self.height + 2 * width * height

    def pictures(self, descriptor: int) -> list[Picture]:
        """Return the pictures in the memory behind a file descriptor, which may be closed afterwards."""
        memory = np.frombuffer(mmap.mmap(descriptor, self.size), np.uint8)
        distinct = [self._picture(memory[start:]) for start in range(0, self.size, self.picture_size)]
        return [distinct[place] for place in self.places]

    def _picture(self, memory: Plane) -> Picture:
        width, height = chroma_size(self.width, self.height)
        luma, chroma = self.width * self.height, width * height
        y, u, v = np.split(memory[: luma + 2 * chroma], (luma, luma + chroma))
        return Picture(y.reshape(self.height, self.width), u.reshape(height, width), v.reshape(height, width))


class SharedPictures(list[Picture]):
    """Pictures that lie in shared memory, which goes when they do.

    Attributes:
        memory: file descriptor.
        layout: of that memory; the picture after these, where there is one, is the last there.
    """

    def __init__(self, pictures: Iterable[Picture], memory: int, layout: Layout) -> None:
        """Take a file descriptor over."""
        super().__init__(pictures)
        self.memory = memory
        self.layout = layout
        weakref.finalize(self, os.close, memory)


def shared(window: Window) -> Window:
    """Return the window with pictures in shared memory."""
    pictures = [*window.pictures, *([window.following] if window.following else [])]
    numbers: dict[int, int] = {}
    for picture in pictures:
        numbers.setdefault(id(picture), len(numbers))
    layout = Layout(pictures[0].width, pictures[0].height, tuple(numbers[id(picture)] for picture in pictures))
    memory = shared_memory("cmvc-window", layout.size)
    copies = layout.pictures(memory)
    for picture, copy in zip(pictures, copies, strict=True):
        for plane, room in zip(picture.planes, copy.planes, strict=True):
            room[:] = plane
    count = len(window.pictures)
    return replace(
        window,
        pictures=SharedPictures(copies[:count], memory, layout),
        following=copies[count] if window.following else None,
    )
