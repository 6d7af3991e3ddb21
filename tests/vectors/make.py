"""Makes the golden bitstreams of this folder: ``make vectors`` (python tests/vectors/make.py).

Streams are made from pictures drawn here, so that nothing but the format and the AV1 encoder shapes them. Beside
each ``NAME.cmvc`` stands ``NAME.json``: what ``cmvc inspect --json`` says of it and the SHA-256 of the planes of every
picture that must decode exactly (docs/bitstream.md, "What is promised"). They are remade only when the format changes
on purpose. ``v1-NAME.cmvc`` are of format version 1: CMVC 0.1.0 made them, and nothing does any more.
"""

import hashlib
import io
import json
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from cmvc.bitstream.av1pack.payload import pack, unpack
from cmvc.bitstream.av1pack.primer import read as read_primer
from cmvc.bitstream.caption_coder import pack_caption
from cmvc.bitstream.caption_primer import History, primer, read, turn_case
from cmvc.bitstream.inspect import inspect
from cmvc.bitstream.segments import pack_motion
from cmvc.bitstream.stream import DEFAULT_PROFILES, StreamReader, StreamWriter
from cmvc.bitstream.text import TextCoder, encode_text, pack_brotli
from cmvc.media import av1
from cmvc.media.fill_frames import fill_frames
from cmvc.media.picture import Picture
from cmvc.v1 import bitstream_pb2 as pb

HERE = Path(__file__).parent
RATE = Fraction(12)
FRAMES = 12
WIDTH, HEIGHT = 96, 64
HEADER = pb.StreamHeader(
    width=WIDTH, height=HEIGHT, frame_rate_numerator=12, segment_frames=FRAMES, seed=7, writer_version=100
)
PROFILES = pb.ProfileTable(profiles=[pb.Profile(id="wan-vace-1.3b", revision="1")])
TEXTS = (
    "Sky pale blue, top; grass green, bottom. A red ball, left.\nThe camera is still. The ball moves right.",
    "Sky pale blue, top; grass green, bottom. A red ball, right.\nThe camera is still.",
)
CAPTIONS = (
    "A black swan glides across a dark green pond with grassy banks.\n"
    "The swan drifts slowly to the left; the camera follows.",
    'Two dancers in Łódź, 1987: "Ça va?"',
    "\nNothing moves.",
    "the The THE the. the\nthe",
)


def picture(t: int) -> Picture:
    """Return a ramp with a square that moves right by four pixels a frame."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    luma = 40 + rows + columns // 2
    luma[20:40, (4 * t) % 64 : (4 * t) % 64 + 20] = 200
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 110, np.uint8)
    return Picture(luma.astype(np.uint8), chroma, chroma + 30)


def coded(first: int, count: int, step: int = 1) -> bytes:
    """Return AV1 of ``count`` pictures from number ``first``."""
    pictures = [picture(first + step * k) for k in range(count)]
    return pack(av1.encode(pictures, frame_rate=RATE / step, crf=35))


def still(number: int) -> bytes:
    """Return AV1 of one picture, as a still."""
    return pack(av1.encode([picture(number)], frame_rate=RATE, crf=35, still=True))


def streams() -> dict[str, list[pb.Segment]]:
    """Return the segments of each golden stream."""
    text = [bytes([TextCoder.BROTLI]) + pack_brotli(t.encode()) for t in TEXTS]
    return {
        "text-2x1s": [pb.Segment(text=t, frames=FRAMES) for t in text],
        "keyframes": [
            pb.Segment(keyframes=coded(0, 1), motion=pack_motion(text[0], b""), frames=FRAMES),
            pb.Segment(keyframes=coded(12, 2, 6), closing_frames=7),
        ],
        "still": [pb.Segment(keyframes=still(0), closing_frames=FRAMES)],
        "guide": [pb.Segment(guide=coded(0, 6, 2), frame_step=2, caption=text[0], frames=FRAMES)],
        "moving": [
            pb.Segment(video=coded(0, 4, 3), frame_step=3, follows_motion=True, frames=FRAMES),
            pb.Segment(video=coded(12, 2, 3), frame_step=3, follows_motion=True, closing_frames=5),
        ],
        "captions": [pb.Segment(text=encode_text(t), frames=FRAMES) for t in CAPTIONS],
        "video": [pb.Segment(video=coded(0, 12), frames=FRAMES), pb.Segment(video=coded(12, 5), frames=5)],
    }


def plane_hashes(pictures: Iterable[Picture]) -> list[str]:
    """Return the SHA-256 of each picture's planes, one after the other."""
    return [hashlib.sha256(b"".join(p.tobytes() for p in picture.planes)).hexdigest() for picture in pictures]


def describe(stream: bytes) -> dict[str, object]:
    """Return what must hold of a stream: its parts, and the exact pictures of every AV1 payload."""
    segments = [placed.segment for placed in StreamReader(io.BytesIO(stream)).segments()]
    payloads = [segment.keyframes or segment.guide or segment.video for segment in segments]
    exact = [plane_hashes(av1.decode(payload)) if payload else [] for payload in payloads]
    filled = {"filled_pictures": [_filled(segments, k) for k in range(len(segments))]}
    told = {"inspect": inspect(io.BytesIO(stream)), "exact_pictures": exact}
    return told | (filled if any(segment.follows_motion for segment in segments) else {})


def _filled(segments: list[pb.Segment], number: int) -> list[str]:
    """Return the hashes of a segment's frames at the coded size, those between coded ones made by motion."""
    segment = segments[number]
    goes_on = segment.frames and number + 1 < len(segments)
    following = next(av1.decode(segments[number + 1].video)) if goes_on else None
    count = segment.frames or segment.closing_frames
    return plane_hashes(
        fill_frames(av1.decode(segment.video), segment.frame_step, count, following, by_motion=segment.follows_motion)
    )


def dump(stream: bytes) -> str:
    """Return the packets of a stream as a Markdown table of hex bytes."""
    reader = StreamReader(io.BytesIO(stream))
    starts = [0, 5, *(s.offset for s in reader.segments())]
    names = ["preamble", "header", *(f"segment {k}" for k in range(len(starts) - 2)), "trailer"]
    starts += [len(stream) - reader.trailer_bytes, len(stream)]
    spans = pairwise(starts)
    rows = ["| offset | packet | bytes |", "|---|---|---|"]
    for name, (start, end) in zip(names, spans, strict=True):
        groups = [stream[k : min(k + 16, end)].hex(" ") for k in range(start, end, 16)]
        rows.append(f"| {start} | {name} | `{'`<br>`'.join(groups)}` |")
    return "\n".join(rows)


def caption_coder() -> dict[str, object]:
    """Return what must hold of text coder 3: its primer, what that says of one caption, and coded texts."""
    history = History()
    counts = hashlib.sha256()
    for byte in turn_case(CAPTIONS[0].encode()):
        for kind in primer().following(history.contexts()):
            counts.update(json.dumps(sorted(kind.items())).encode())
        history.append(byte)
    names = ("captions.txt", "vocabulary.txt", "weights.txt")
    return {
        "primer_sha256": {name: hashlib.sha256(read(name)).hexdigest() for name in names},
        "counts_sha256": counts.hexdigest(),
        "texts": [{"text": text, "hex": (pack_caption(text) or b"").hex()} for text in CAPTIONS],
    }


def packed_av1() -> dict[str, object]:
    """Return what must hold of packed AV1: its primer, and payloads with what they unpack to."""
    payloads = [coded(0, 12), coded(12, 2, 6), still(0)]
    return {
        "primer_sha256": hashlib.sha256(read_primer().encode()).hexdigest(),
        "payloads": [{"packed": payload.hex(), "obus": unpack(payload).hex()} for payload in payloads],
    }


def main() -> None:
    """Write the streams, their descriptions, the coders' vectors, and the dump in docs/bitstream.md."""
    (HERE / "packed-av1.json").write_text(json.dumps(packed_av1(), indent=1) + "\n")
    (HERE / "caption-coder.json").write_text(json.dumps(caption_coder(), indent=1) + "\n")
    for name, segments in streams().items():
        writer = StreamWriter(HEADER, PROFILES if name == "guide" else DEFAULT_PROFILES)
        stream = b"".join([writer.open(), *map(writer.write, segments), writer.close()])
        (HERE / f"{name}.cmvc").write_bytes(stream)
        (HERE / f"{name}.json").write_text(json.dumps(describe(stream), indent=1) + "\n")
    page = HERE.parents[1] / "docs" / "bitstream.md"
    before, rest = page.read_text().split("<!-- dump:begin -->")
    after = rest.split("<!-- dump:end -->")[1]
    table = dump((HERE / "text-2x1s.cmvc").read_bytes())
    page.write_text(f"{before}<!-- dump:begin -->\n{table}\n<!-- dump:end -->{after}")


if __name__ == "__main__":
    main()
