"""Which keyframes a video gets, and why, for a person to look at."""

from contextlib import closing
from typing import BinaryIO

from cmvc.control import Control
from cmvc.limits import DEFAULT_LIMITS, Limits
from cmvc.media.picture import Picture
from cmvc.media.reader import VideoInfo, open_video
from cmvc.media.rgb import Rgb, to_rgb
from cmvc.media.scaling import resize
from cmvc.services import KeyframeRecord, KeyframeReport
from cmvc.v1 import encoder_pb2
from cmvc_encoder.ingest.cutting import Clock, plan_shape
from cmvc_encoder.ingest.reading import read_windows
from cmvc_encoder.job import read_job
from cmvc_encoder.keyframes.choice import embedder_of, make_selector
from cmvc_encoder.options import EncoderOptions

THUMBNAIL_PIXELS = 160 * 90
AHEAD = 8  # pictures read while others are embedded


def report_keyframes(
    source: str | BinaryIO,
    config: encoder_pb2.EncodeConfig,
    control: Control,
    options: EncoderOptions,
    limits: Limits = DEFAULT_LIMITS,
) -> KeyframeReport:
    """Return which keyframes ``encode`` would choose; windows are cut as it does, without sound.

    Raises:
        CmvcError: as ``encode``.
    """
    job = read_job(config)
    embedder = embedder_of(config.keyframes, options)
    records: list[KeyframeRecord] = []
    frames = 0
    with open_video(source, limits=limits, check=control.check) as reader:
        shape = plan_shape(reader.info, job, limits)
        selector = make_selector(config.keyframes, embedder, shape.frame_rate)
        with closing(read_windows(reader, shape, control, depth=AHEAD, clock=Clock())) as batches:
            for batch in batches:
                for sample in selector.examine(batch.window):
                    picture = batch.window.pictures[sample.frame - batch.window.first_frame]
                    shown = _thumbnail(picture, reader.info) if sample.is_keyframe else None
                    records.append(
                        KeyframeRecord(sample.frame, sample.similarity, sample.is_keyframe, sample.opens_shot, shown)
                    )
                frames = batch.window.first_frame + len(batch.window.pictures)
    return KeyframeReport(selector.embedding, selector.threshold, shape.frame_rate, frames, records)


def _thumbnail(picture: Picture, info: VideoInfo) -> Rgb:
    """Return the picture small, with square pixels and the right way up."""
    shape = float(info.width * info.pixel_aspect / info.height)
    height = (THUMBNAIL_PIXELS / shape) ** 0.5
    small = resize(picture, max(round(height * shape), 2), max(round(height), 2))
    return to_rgb(small, info.color_matrix)
