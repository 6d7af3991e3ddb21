"""A face that holds still for 10 s, every frame coded, as a file: ``python -m benchmarks.packing.held``."""

import sys
from fractions import Fraction

from benchmarks.clips import shared_clips
from cmvc.bitstream.av1pack.payload import pack, unpack
from cmvc.bitstream.segments import new_segment
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamWriter
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.media.reader import open_video
from cmvc.media.shrink import Shrinker
from cmvc.v1 import bitstream_pb2 as pb

CLIP, SIDE, RATE, SECONDS = "talk_d0_512", 240, 25, 10
CRF, PRESET = 63, 4


def main() -> None:
    """Run from the command line."""
    clips = [clip for clip in shared_clips() if clip.stem == CLIP]
    if not clips:
        sys.exit("no clips; set CMVC_CLIPS")
    with open_video(clips[0]) as reader:
        first = next(item for item in reader.read() if isinstance(item, Picture))
        header = pb.StreamHeader(width=reader.info.width, height=reader.info.height, frame_rate_numerator=RATE)
    frames = RATE * SECONDS
    still = Shrinker(SIDE, SIDE).shrink(first)
    obus = av1.encode([still] * frames, frame_rate=Fraction(RATE), crf=CRF, preset=PRESET)
    packed = pack(obus)
    assert unpack(packed) == obus
    segment = new_segment(frames, closes_shot=False)
    segment.video = packed
    writer = StreamWriter(header, DEFAULT_PROFILES)
    size = sum(map(len, (writer.open(), writer.write(segment), writer.close())))
    print(f"{frames} frames of {SIDE}x{SIDE}: AV1 {len(obus)} bytes, packed {len(packed)}, the file {size}")
    print(f"{8 * size / SECONDS / 1000:.2f} kbit/s; {size - len(packed)} bytes are not AV1")


if __name__ == "__main__":
    main()
