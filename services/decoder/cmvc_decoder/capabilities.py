"""What a decoder can do."""

from cmvc import __version__
from cmvc.media.output import OUTPUT_FORMATS
from cmvc.v1 import decoder_pb2
from cmvc_decoder.executors.base import Executor


def capabilities(
    executor: Executor, segments_at_once: int, segments_waiting: int = 0, callers: int = 1
) -> decoder_pb2.VideoDecoderGetCapabilitiesResponse:
    """Return what a decoder with this executor can do, and how much of it; see the proto."""
    return decoder_pb2.VideoDecoderGetCapabilitiesResponse(
        version=__version__,
        profiles=[
            decoder_pb2.ProfileCapability(
                id=each.id,
                revision=each.revision,
                modes=each.modes,
                adapters=_adapters(executor, each.id),
                model_down=not executor.works(each.id),
            )
            for each in executor.profiles()
        ],
        formats=OUTPUT_FORMATS,
        segments_at_once=segments_at_once,
        segments_waiting=segments_waiting,
        callers=callers,
    )


def _adapters(executor: Executor, profile_id: str) -> decoder_pb2.AdapterList | None:
    found = executor.adapters(profile_id)
    if found is None:
        return None
    return decoder_pb2.AdapterList(
        adapters=[decoder_pb2.AdapterCapability(name=each.name, sha256=each.short) for each in found]
    )
