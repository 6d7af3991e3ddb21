"""Fields to frames: one picture per frame, not per field."""

from collections.abc import Iterable, Iterator

import av
from av.filter import Graph
from av.video.frame import VideoFrame

_LEAST_SIDE = 16  # pixels; the filter refuses less than 4 samples, of chroma, too, of which there may be a quarter


def deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Yield as many frames as come in, with those that are interlaced made progressive.

    Frames before the first interlaced one pass through untouched. From there on they go through a filter that looks
    at the frame after, so they come one frame later.
    """
    graph: Graph | None = None
    layout: tuple[object, ...] = ()
    for frame in frames:
        frame_layout = (frame.width, frame.height, frame.format.name)
        if graph and frame_layout != layout:
            yield from _drain(graph)
            graph = None
        if graph is None and frame.interlaced_frame and min(frame.width, frame.height) >= _LEAST_SIDE:
            graph, layout = _graph(frame), frame_layout
        if graph is None:
            yield frame
            continue
        graph.vpush(frame)
        yield from _ready(graph)
    if graph:
        yield from _drain(graph)


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    base = frame.time_base
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={base or '1/25'}"
        f":pixel_aspect=1/1:colorspace={frame.colorspace}:range={frame.color_range}",
    )
    deinterlacer = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(source, deinterlacer, graph.add("buffersink")).configure()
    return graph


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def _drain(graph: Graph) -> Iterator[VideoFrame]:
    graph.vpush(None)
    yield from _ready(graph)
