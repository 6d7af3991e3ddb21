"""A decoder's memory with the largest pictures: two tiny segments of 8K at once take what one takes, or little more."""

import re
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
from servers import servers

from cmvc.bitstream.stream import StreamWriter
from cmvc.bitstream.text import encode_text
from cmvc.client import Client
from cmvc.media import av1
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb

FRAMES = 4  # with the third, x264 has all the pictures that it keeps
LIMIT_MIB = 2048  # of overlays/local-cpu before there was a budget; two of these segments took up to 2347


def eight_k(segment):
    header = pb.StreamHeader(width=7680, height=4320, frame_rate_numerator=60, segment_frames=FRAMES)
    writer = StreamWriter(header, pb.ProfileTable(profiles=[pb.Profile(id="embedded", revision="1")]))
    segment.closing_frames = FRAMES
    return writer.open() + writer.write(segment) + writer.close()


def painted():
    text = "Blue sky, wide, upper.\nGreen grass, wide, lower.\nThe camera zooms in very fast.\nDense snow."
    return eight_k(pb.Segment(text=encode_text(text)))


def warped():
    """Return what starts with the largest keyframe that there may be."""
    gray = np.full((1152, 2048), 128, np.uint8)
    still = Picture(np.full((2304, 4096), 90, np.uint8), gray, gray)
    return eight_k(pb.Segment(keyframes=av1.encode([still], frame_rate=Fraction(24), crf=63, preset=12)))


def peak_of(server):
    """Return the most memory that the process held, in MiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) >> 10


def decoded(address, data):
    with Client(address) as client:
        return sum(map(len, client.decode_stream([data])))


def test_two_tiny_segments_of_8k_at_once_stay_within_a_container():
    streams = painted(), warped()
    assert max(map(len, streams)) < 150
    with servers() as start:
        decoder = start("decoder", "--running", "2", f"--memory-mib={LIMIT_MIB}")
        gateway = start("gateway", f"--decoder={decoder.address}")
        with ThreadPoolExecutor(2) as threads:  # as a stream, and as a segment; one of them waits
            assert all(threads.map(decoded, (decoder.address, gateway.address), streams))
        assert peak_of(decoder) < LIMIT_MIB * 3 // 4
