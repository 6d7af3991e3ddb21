"""Writes the seeds of the corpus, from the golden vectors and anew: ``python -m fuzz.seeds``."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from media_files import Sound, gray_frame, moving_frames, write_video

from cmvc.bitstream.audio import pack_audio
from cmvc.bitstream.caption_coder import pack_caption
from cmvc.bitstream.segments import av1_payload, coded_text, pack_motion, unpack_motion
from cmvc.bitstream.stream import StreamReader, StreamWriter
from cmvc.bitstream.text import TextCoder, encode_text, pack_brotli
from cmvc.bitstream.words import pack_words
from cmvc.bitstream.work import segment_request
from cmvc.errors import LimitError, MediaCrashedError, MediaError, NoVideoError
from cmvc.media.isolated.messages import Kind, Opened, pack_error, pack_notes
from cmvc.media.reader import VideoInfo
from cmvc.motion.track import (
    Control,
    ControlPlan,
    ExactField,
    Field,
    Gap,
    GapPlan,
    MotionTrack,
    Vectors,
    encode_track,
    write_track,
)
from cmvc.scene.grammar import read_scene, write_scene
from cmvc.v1 import bitstream_pb2 as pb
from cmvc.v1 import decoder_pb2
from fuzz.mutation import answers_of
from fuzz.targets import COPIED, LATER, METADATA, ONE_WAY

CORPUS = Path(__file__).parent / "corpus"
VECTORS = Path(__file__).parents[1] / "vectors"
MOST_BYTES = 6000
MOST_VIDEO_BYTES = 16_000


def main() -> None:
    """Write them."""
    for path in sorted(VECTORS.glob("*.cmvc")):
        data = path.read_bytes()
        _keep("stream", path.stem, data)
        reader = StreamReader(BytesIO(data))
        for placed in reader.segments():
            request = segment_request(reader, placed, decoder_pb2.DecodeConfig())
            name = f"{path.stem}-{placed.index}"
            _keep("segment", name, request.SerializeToString(deterministic=True))
            _keep("payload", name, av1_payload(placed.segment))
            _keep("text", name, coded_text(placed.segment))
            _keep("motion", name, unpack_motion(placed.segment.motion)[1])

    for name, track in _tracks().items():
        _keep("motion", name, track)
        request = decoder_pb2.DecodeSegmentRequest.FromString((CORPUS / "segment/keyframes-1").read_bytes())
        request.segment.motion = pack_motion(b"", track)
        _keep("segment", f"motion-{name}", request.SerializeToString(deterministic=True))
    for name, data in _texts().items():
        _keep("text", name, data)
    for name, sounding in (("sound", True), ("chapters", False)):
        _keep("stream", name, _stream(sounding))
    for name, (how, video) in _videos().items():
        _keep("media", name, bytes([how]) + video, MOST_VIDEO_BYTES)
    for name, messages in _answers().items():
        _keep("answers", name, answers_of(messages))


def _videos() -> dict[str, tuple[int, bytes]]:
    """Return small videos in several containers and codecs, and how each is read."""
    frames, h264 = moving_frames(6, 32, 24), {"codec": "libx264", "options": {"preset": "ultrafast"}}
    beep, opus = Sound("aac", [0.1], seconds=0.25), Sound("libopus", [0.1], seconds=0.25)
    mp3 = Sound("libmp3lame", [0.1], seconds=0.25, offset=-0.1)
    steady = write_video(frames, container="mpegts", **h264)
    varying = [Fraction(n * n, 25) for n in range(6)]
    hdr = [gray_frame(n, 32, 24, "yuv420p10le") for n in (64, 500)]
    for frame in hdr:
        frame.color_trc, frame.color_primaries, frame.colorspace = 16, 9, 9
    clear = VideoFrame.from_ndarray(np.full((24, 32, 4), 90, np.uint8), format="rgba")
    return {
        "mp4": (METADATA, write_video(frames, container="mp4", sound=beep, **h264)),
        "mp4-one-way": (ONE_WAY, write_video(frames, container="mp4", **h264)),
        "mp4-turned": (0, write_video(frames[:2], container="mp4", quarter_turns=1, **h264)),
        "mp4-varying": (LATER, write_video(frames, container="mp4", times=varying, **h264)),
        "mkv": (COPIED, write_video(frames, sound=opus, **h264)),
        "mkv-one-way": (ONE_WAY | COPIED, write_video(frames, sound=opus, **h264)),
        "mkv-hdr": (0, write_video(hdr)),
        "mkv-late": (ONE_WAY, write_video(frames[:3], sound=Sound("libopus", [], seconds=0.2, offset=0.5))),
        "ts": (0, write_video(frames, container="mpegts", sound=beep, **h264)),
        "ts-leap": (0, steady + write_video(frames, container="mpegts", **h264)),
        "avi": (COPIED, write_video(frames, container="avi", codec="mpeg4", sound=mp3)),
        "flv": (0, write_video(frames, container="flv", codec="flv")),
        "y4m": (ONE_WAY, write_video(frames[:2], container="yuv4mpegpipe", codec="wrapped_avframe")),
        "gif": (0, write_video([frame.reformat(format="rgb8") for frame in frames], container="gif", codec="gif")),
        "ivf": (0, write_video(frames, container="ivf", codec="libvpx-vp9")),
        "ogg": (0, write_video(frames, container="ogg", codec="libvpx", sound=Sound("flac", [0.1], seconds=0.2))),
        "png": (0, write_video([clear], container="image2pipe", codec="png")),
        "sound": (0, write_video(frames[:1], container="mp4", **h264).replace(b"vide", b"soun")),
    }


def _answers() -> dict[str, list[bytes]]:
    """Return what a process that reads media says: of a video with sound, and of one that cannot be read."""
    track = pb.AudioTrack(codec=pb.AUDIO_CODEC_OPUS, sample_rate=48_000, channels=1, packet_samples=960)
    chapters = pb.Metadata(title="title", language="fra")
    info = VideoInfo(32, 24, Fraction(24), Fraction(1), 1, 1, 1, False, 3, track, chapters, 8000.0)

    def say(kind: Kind, data: bytes = b"") -> bytes:
        return bytes([kind]) + data

    ask = say(Kind.READ, bytes(8) + (100).to_bytes(8, "little"))
    opened = say(Kind.OPENED, Opened(info, True, ["tracks-left-out: one"]).pack())
    silent = say(Kind.OPENED, Opened(replace(info, audio_track=None, metadata=None), False, []).pack())
    ended = say(Kind.ENDED, pack_notes(["source-short: it is"]))
    pictures = [
        say(Kind.SOUND, bytes(8) + b"sound"),
        say(Kind.PICTURE, b"\0"),
        say(Kind.AGAIN),
        say(Kind.PICTURE, b"\1"),
    ]
    errors = [
        MediaError("no"),
        NoVideoError("none"),
        LimitError("large", field="config.start"),
        MediaCrashedError("ouch"),
    ]
    return {
        "whole": [ask, say(Kind.BEAT), opened, *pictures, ended],
        "silent": [silent, say(Kind.PICTURE, b"\3"), ended],
        "cut": [ask, opened, *pictures],
        **{type(error).__name__: [opened, say(Kind.FAILED, pack_error(error))] for error in errors},
    }


def _texts() -> dict[str, bytes]:
    """Return a text by each coder."""
    words = "\n".join(write_scene(read_scene("a tall red figure moves fast left, blue wall, camera pans right")))
    return {
        "plain": bytes([TextCoder.PLAIN]) + "Ünïcode".encode(),
        "brotli": bytes([TextCoder.BROTLI]) + pack_brotli(b"a text, " * 9),
        "words": bytes([TextCoder.WORDS]) + (pack_words(words) or b""),
        "caption": bytes([TextCoder.CAPTION]) + (pack_caption("a dog runs over the grass, then over the grass") or b""),
    }


def _stream(sounding: bool) -> bytes:
    """Return a stream of texts, the second of which repeats the first's content, with sound or chapters."""
    header = pb.StreamHeader(width=32, height=24, frame_rate_numerator=4, segment_frames=8, target_bits_per_second=9000)
    if sounding:
        header.audio.CopyFrom(
            pb.AudioTrack(codec=pb.AUDIO_CODEC_OPUS, sample_rate=48_000, channels=1, packet_samples=24_000)
        )
    else:
        header.metadata.title = "title"
        header.metadata.chapters.add(start_ms=1000, title="one")
    profiles = pb.ProfileTable(profiles=[pb.Profile(id="embedded", revision="1"), pb.Profile(id="wan", revision="2")])
    writer = StreamWriter(header, profiles)
    parts = [writer.open()]
    for number, line in enumerate(("a red face\nmoves left", "\nmoves up", "blue wall")):
        segment = pb.Segment(frames=8, text=encode_text(line))
        if sounding:
            segment.audio.CopyFrom(pack_audio([bytes([number, each]) for each in range(4)]))
        parts.append(writer.write(segment))
    return b"".join([*parts, writer.close()])


def _tracks() -> dict[str, bytes]:
    """Return tracks of motion: near and far, of one and of two sides, with several fields, and with an affine one."""
    rng = np.random.default_rng(0)

    def vectors(most: int) -> Vectors:
        return rng.integers(-most, most + 1, (3, 4, 2)).astype(np.int16)

    class Affine(ExactField):
        def affine(self, base: Field) -> Sequence[int]:
            return (3, -200, 0, 40, 0, -1)

    sides = rng.integers(0, 3, (3, 4)).astype(np.uint8)
    plain, both = Control(vectors(4)), Control(vectors(4), vectors(4), sides)
    gaps = {
        "0": (Gap(False, (plain,)),),
        "1": (Gap(True, (both,)),),
        "far": (Gap(False, (Control(vectors(900)), Control(vectors(30)))), Gap(True, (both, both, both))),
    }
    found = {name: encode_track(MotionTrack(4, 3, 3, each)) for name, each in gaps.items()}
    plan = ControlPlan(Affine(vectors(40)), None, None)
    return found | {"affine": write_track(4, 3, 3, [GapPlan(False, (plan, plan))])[1]}


def _keep(target: str, name: str, data: bytes, most: int = MOST_BYTES) -> None:
    if 0 < len(data) <= most:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
