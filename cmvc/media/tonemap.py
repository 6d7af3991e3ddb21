"""From high dynamic range (PQ or HLG, BT.2020) to BT.709, as a table of colours that a filter applies.

FFmpeg's scaler can do the same, but takes several seconds to set it up for each video.
"""

import tempfile
from pathlib import Path

import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from cmvc.errors import MediaError

PQ, HLG = 16, 18  # H.273 transfer characteristics
_FORMATS = 4  # of HDR frames in one video, where tables are loaded beforehand
_GRID = 33  # points along each side of the table
_PEAK_NITS = 1000.0  # what graded content and HLG displays reach; brighter is clipped
_WHITE_NITS = 203.0  # reference white of ITU-R BT.2408, which SDR white is to show
_HLG_SYSTEM_GAMMA = 1.2  # for a display of 1000 nits, ITU-R BT.2100
_SDR_GAMMA = 2.4  # ITU-R BT.1886
_LUMA_2020 = np.array([0.2627, 0.6780, 0.0593])
_LUMA_709 = np.array([0.2126, 0.7152, 0.0722])
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])

Colors = NDArray[np.float64]


def _pq_to_nits(code: Colors) -> Colors:
    power = code ** (1 / 78.84375)
    light: Colors = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return 10_000 * light ** (1 / 0.1593017578125)


def _nits_to_pq(nits: Colors) -> Colors:
    light = (np.maximum(nits, 0) / 10_000) ** 0.1593017578125
    code: Colors = ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375
    return code


def _hlg_to_nits(code: Colors) -> Colors:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    luma = (scene @ _LUMA_2020)[..., None]
    nits: Colors = _PEAK_NITS * np.maximum(luma, 1e-9) ** (_HLG_SYSTEM_GAMMA - 1) * scene
    return nits


def _compress(nits: Colors) -> Colors:
    """Map 0.._PEAK_NITS to 0.._WHITE_NITS: the curve of ITU-R BT.2390, straight at first, then a spline."""
    peak, white = (float(_nits_to_pq(np.array(level))) for level in (_PEAK_NITS, _WHITE_NITS))
    level = np.minimum(_nits_to_pq(nits) / peak, 1.0)
    top = white / peak
    knee = 1.5 * top - 0.5
    t = (level - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * top
    return _pq_to_nits(np.where(level < knee, level, spline) * peak)


def tone_map(codes: Colors, transfer: int) -> Colors:
    """Return R'G'B' of BT.709 for R'G'B' of BT.2020.

    Args:
        codes: (..., 3), 0..1.
        transfer: ``PQ`` or ``HLG``.

    Returns:
        (..., 3), 0..1. Colours that BT.709 does not have are desaturated towards their luminance.
    """
    nits = _pq_to_nits(codes) if transfer == PQ else _hlg_to_nits(codes)
    brightest = np.maximum(nits.max(axis=-1, keepdims=True), 1e-6)
    linear = (nits * (_compress(brightest) / brightest) / _WHITE_NITS) @ _TO_709.T
    luma = np.clip((linear @ _LUMA_709)[..., None], 0, 1)
    least, most = linear.min(axis=-1, keepdims=True), linear.max(axis=-1, keepdims=True)
    keep_low = np.where(least < 0, luma / np.maximum(luma - least, 1e-9), 1.0)
    keep_high = np.where(most > 1, (1 - luma) / np.maximum(most - luma, 1e-9), 1.0)
    inside = luma + (linear - luma) * np.minimum(keep_low, keep_high)
    mapped: Colors = np.clip(inside, 0, 1) ** (1 / _SDR_GAMMA)
    return mapped


def _cube(transfer: int) -> str:
    """Return the table in the .cube format: red changes fastest."""
    steps = np.linspace(0, 1, _GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    mapped = tone_map(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    lines = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in mapped)
    return f"LUT_3D_SIZE {_GRID}\n{lines}\n"


def _with_table(transfer: int, count: int, threads: int) -> list[tuple[Graph, FilterContext]]:
    """Return ``count`` graphs with nothing in them but the table, loaded; 0 threads are as many as there are cores."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.cube"
        path.write_text(_cube(transfer))
        for _ in range(count):
            graph = Graph()
            graph.threads = threads
            found.append((graph, graph.add("lut3d", f"file={path}:interp=tetrahedral")))
    return found


class Tables:
    """Where graphs with tables come from: they are loaded as they are wanted, or all ``beforehand``."""

    def __init__(self) -> None:
        """Load nothing."""
        self._loaded: dict[int, list[tuple[Graph, FilterContext]]] = {}

    def beforehand(self) -> None:
        """Load some of each, for processes forked from this one, which cannot open a file; they have one thread."""
        self._loaded = {transfer: _with_table(transfer, _FORMATS, threads=1) for transfer in (PQ, HLG)}

    def take(self, transfer: int) -> tuple[Graph, FilterContext]:
        """Return a graph for ``transfer`` with its table, to be used once.

        Raises:
            MediaError: all that were loaded beforehand have been taken.
        """
        if not self._loaded:
            return _with_table(transfer, 1, threads=0)[0]
        if not self._loaded[transfer]:
            raise MediaError("the HDR video changes its size or format too often; convert it first")
        return self._loaded[transfer].pop()


TABLES = Tables()
"""Those of this process."""


def tone_mapping_graph(frame: VideoFrame) -> Graph:
    """Return a filter from frames like ``frame`` to ``yuv420p`` in BT.709, limited range.

    Raises:
        MediaError: see ``Tables.take``.
    """
    graph, table = TABLES.take(frame.color_trc)
    chain = [
        graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1000"
            f":pixel_aspect=1/1:colorspace={frame.colorspace}:range={frame.color_range}",
        ),
        graph.add("scale", "in_color_matrix=bt2020"),
        graph.add("format", "gbrp10le"),
        table,
        # The tags have to say what the samples are by now, or the scaler would convert once more.
        graph.add("setparams", "color_primaries=bt709:color_trc=bt709"),
        graph.add("scale", "out_color_matrix=bt709:out_range=limited"),
        graph.add("format", "yuv420p"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain).configure()
    return graph
