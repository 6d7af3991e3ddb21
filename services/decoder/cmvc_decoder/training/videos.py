"""From a folder of videos to clips that stay within a shot."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from cmvc.errors import InvalidSettingError, LimitError, MediaError
from cmvc.files import whole_file
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo, open_video
from cmvc.media.rgb import Rgb, to_rgb
from cmvc.media.scaling import resize
from cmvc.media.shots import CutFinder
from cmvc.profiles.profile import native_stride

SUFFIXES = (".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv", ".y4m")
SMALLEST_CROP = 0.6  # of the largest crop of the wanted aspect, in width and height
_SPLIT, TRAIN, HELD_OUT = range(3)  # what a random generator is for, so that no two draw alike

Check = Callable[[], None]  # raises to stop the work


@dataclass(frozen=True)
class Video:
    """What is known of a video once it has been looked through.

    Attributes:
        path: below the folder of videos, with ``/``.
        width, height: in pixels.
        color_matrix: code point of ITU-T H.273.
        stride: its frames from one frame of a clip to the next, as the decoder has it for its frame rate.
        shots: first frame and number of frames of each.
    """

    path: str
    width: int
    height: int
    color_matrix: int
    stride: int
    shots: tuple[tuple[int, int], ...]

    def starts(self, frames: int) -> list[range]:
        """Return where clips of so many frames may begin, a range for each shot that is long enough."""
        span = (frames - 1) * self.stride + 1
        return [range(first, first + length - span + 1) for first, length in self.shots if length >= span]


@dataclass(frozen=True)
class Clip:
    """A piece of a video.

    Attributes:
        number: of the clip, in its set.
        video: whose piece it is.
        start: first frame.
        left, top, width, height: of the part of the picture, in pixels; even.
    """

    number: int
    video: Video
    start: int
    left: int
    top: int
    width: int
    height: int


def find_videos(folder: Path) -> list[Path]:
    """Return the videos in a folder and below, by name.

    Raises:
        InvalidSettingError: there are none.
    """
    found = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not found:
        raise InvalidSettingError(
            f"there is no video in {folder}; put files that end in one of {' '.join(SUFFIXES)} there"
        )
    return found


def look_through(path: Path, folder: Path, native_rate: Fraction, check: Check) -> Video:
    """Return what is known of a video; all of it is decoded.

    Raises:
        MediaError, LimitError: it cannot be read.
    """
    finder, opens = CutFinder(), list[bool]()
    with open_video(path) as reader:
        for item in reader.read():
            if isinstance(item, Picture):
                check()
                opens += finder.push(item)
        info: VideoInfo = reader.info
    opens += finder.finish()
    return Video(
        path.relative_to(folder).as_posix(),
        info.width,
        info.height,
        info.color_matrix,
        native_stride(info.frame_rate, native_rate),
        _shots(opens),
    )


def _shots(opens: Sequence[bool]) -> tuple[tuple[int, int], ...]:
    """Return first frame and number of frames of each shot, from whether each frame opens one."""
    firsts = [number for number, first in enumerate(opens) if first]
    return tuple((a, b - a) for a, b in zip(firsts, [*firsts[1:], len(opens)], strict=True))


def look_through_all(
    folder: Path, native_rate: Fraction, check: Check, report: Callable[[int, int], None]
) -> tuple[list[Video], list[str]]:
    """Return what is known of all videos of a folder, and a note for each that cannot be read.

    Args:
        folder: searched with the folders in it.
        native_rate: of the model, in frames per second.
        check: called at every frame.
        report: called with how many are done, of how many.
    """
    videos, notes, paths = [], [], find_videos(folder)
    for done, path in enumerate(paths):
        report(done, len(paths))
        try:
            videos.append(look_through(path, folder, native_rate, check))
        except (MediaError, LimitError) as error:
            notes.append(f"{path} is left out: {error}")
    report(len(paths), len(paths))
    return videos, notes


def save_index(videos: Sequence[Video], path: Path) -> None:
    """Keep what is known of videos, so that a run that is resumed cuts the same clips without looking again."""
    with whole_file(path) as file:
        file.write(json.dumps([asdict(video) for video in videos], indent=1).encode() + b"\n")


def load_index(path: Path) -> list[Video]:
    """Return what ``save_index`` kept."""
    found = json.loads(path.read_bytes())
    return [Video(**{**each, "shots": tuple(map(tuple, each["shots"]))}) for each in found]


def split(videos: Sequence[Video], frames: int, share: float, seed: int) -> tuple[list[Video], list[Video]]:
    """Return the videos to train on and those that are held out; a whole video is either.

    Args:
        videos: all of them.
        frames: of a clip; videos without a shot of that length are left out of both.
        share: to hold out, 0..1; above 0 at least one is, and at least one is trained on.
        seed: of the run.

    Raises:
        InvalidSettingError: no shot is long enough, or there are too few videos to hold one out.
    """
    usable = [video for video in videos if video.starts(frames)]
    if not usable:
        longest = max((length // video.stride for video in videos for _, length in video.shots), default=0)
        raise InvalidSettingError(
            f"no video has a shot of {frames} frames at the model's rate, the longest has {longest}; use longer "
            "videos, or fewer --frames"
        )
    if share and len(usable) == 1:
        raise InvalidSettingError(
            f"only one video can be used, {usable[0].path}, and none is left to hold out; add videos with shots of "
            f"{frames} frames, or use --held-out 0"
        )
    count = min(max(round(share * len(usable)), 1), len(usable) - 1) if share else 0
    held = set(np.random.default_rng((seed, _SPLIT)).permutation(len(usable))[:count].tolist())
    return (
        [video for number, video in enumerate(usable) if number not in held],
        [video for number, video in enumerate(usable) if number in held],
    )


def choose_clips(
    videos: Sequence[Video], count: int, frames: int, size: tuple[int, int], seed: tuple[int, int]
) -> list[Clip]:
    """Return clips at random places, each place where one may begin as likely as any other.

    Args:
        videos: to cut them from; ``split`` made sure that they are long enough.
        count: how many clips.
        frames: of each.
        size: (width, height) of each in pixels, after scaling; crops have its aspect.
        seed: of the run, and ``TRAIN`` or ``HELD_OUT``.
    """
    shots = [(video, starts) for video in videos for starts in video.starts(frames)]
    ends = np.cumsum([len(starts) for _, starts in shots])
    clips = []
    for number in range(count if shots else 0):
        rng = np.random.default_rng((*seed, number))  # a clip does not depend on how many there are
        place = int(rng.integers(ends[-1]))
        shot = int(np.searchsorted(ends, place, side="right"))
        video, starts = shots[shot]
        start = starts[place - int(ends[shot]) + len(starts)]
        clips.append(Clip(number, video, start, *_crop(rng, video, size)))
    return clips


def _crop(rng: np.random.Generator, video: Video, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, width and height of a part of the picture, all even, as 4:2:0 chroma needs."""
    scale = rng.uniform(SMALLEST_CROP, 1.0) * min(video.width / size[0], video.height / size[1])
    width, height = (max(int(side * scale) // 2 * 2, 2) for side in size)
    left, top = (2 * int(rng.integers(max(room // 2, 0) + 1)) for room in (video.width - width, video.height - height))
    return left, top, width, height


def read_clips(
    folder: Path, clips: Iterable[Clip], frames: int, size: tuple[int, int], check: Check
) -> Iterator[tuple[Clip, Rgb]]:
    """Yield clips of one video with their frames, (frames, height, width, 3) RGB, 0..255, in one pass through it.

    Pictures are scaled and converted as the decoder does it with anchors.

    Args:
        folder: of the videos.
        clips: of one video.
        frames: of each.
        size: (width, height) to scale to, in pixels.
        check: called at every frame.

    Raises:
        MediaError: the video cannot be read any more, or not as far as before.
    """
    waiting = sorted(clips, key=lambda clip: clip.start)
    if not waiting:
        return
    video, begun = waiting[0].video, defaultdict[int, list[Rgb]](list)
    with open_video(folder / video.path) as reader:
        for position, picture in enumerate(item for item in reader.read() if isinstance(item, Picture)):
            check()
            for clip in [clip for clip in waiting if clip.start <= position]:
                if (position - clip.start) % video.stride == 0:
                    begun[clip.number].append(to_rgb(_scaled(picture, clip, size), video.color_matrix))
                if len(begun[clip.number]) == frames:
                    waiting.remove(clip)
                    yield clip, np.stack(begun.pop(clip.number))
            if not waiting:
                return
    raise MediaError(f"{folder / video.path} has fewer frames than when it was looked through; begin a new run")


def _scaled(picture: Picture, clip: Clip, size: tuple[int, int]) -> Picture:
    rows, columns = slice(clip.top, clip.top + clip.height), slice(clip.left, clip.left + clip.width)
    small = slice(clip.top // 2, (clip.top + clip.height) // 2), slice(clip.left // 2, (clip.left + clip.width) // 2)
    part = Picture(picture.y[rows, columns], picture.u[small], picture.v[small])
    return resize(part, *size)


def caption_of(folder: Path, video: Video) -> str:
    """Return the text beside a video, ``clip.txt`` beside ``clip.mp4``; "" where there is none."""
    path = (folder / video.path).with_suffix(".txt")
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""
