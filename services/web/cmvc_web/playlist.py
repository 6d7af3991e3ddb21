"""The HLS playlist (RFC 8216) of a video: an init segment and its fragments, as ranges of bytes of one file."""

import math
from collections.abc import Sequence

from cmvc_web.fragments import Fragment

_LONGEST_SECONDS = 10  # of a fragment while they still come; a segment of a stream lasts no longer


def playlist(init_bytes: int, fragments: Sequence[Fragment], end_s: float | None, file: str) -> str:
    """Return the playlist.

    Args:
        init_bytes: size of the init segment.
        fragments: in order. Of a video that is not whole the last one is left out: how long it lasts is not known.
        end_s: when the video ends, in seconds; None while more fragments come.
        file: relative address of the video.
    """
    ends = [each.time for each in fragments[1:]] + ([] if end_s is None else [end_s])
    lasting = [max(end - each.time, 0.0) for each, end in zip(fragments, ends, strict=False)]
    longest = math.ceil(max(lasting, default=1.0)) if end_s is not None else _LONGEST_SECONDS
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(longest, 1)}",
        f"#EXT-X-PLAYLIST-TYPE:{'EVENT' if end_s is None else 'VOD'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{file}",BYTERANGE="{init_bytes}@0"',
    ]
    for each, seconds in zip(fragments, lasting, strict=False):
        lines += [f"#EXTINF:{seconds:.6f},", f"#EXT-X-BYTERANGE:{each.stop - each.start}@{each.start}", file]
    if end_s is not None:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"
