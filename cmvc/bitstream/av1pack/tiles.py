"""How a frame is cut into tiles, and which of them a tile group has (AV1 specification, sections 5.9.15 and 5.11.1)."""

from cmvc.bitstream.av1pack.errors import NotPackableError
from cmvc.bitstream.av1pack.kinds import below, bits, counted
from cmvc.bitstream.av1pack.state import Elements, Frame, Sequence

_MOST_WIDTH = 4096  # samples
_MOST_AREA = 4096 * 2304
_MOST_COLUMNS = _MOST_ROWS = 64


def tile_info(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through tile_info.

    Raises:
        NotPackableError: there are more tiles than can be.
    """
    size = 7 if s.large_superblocks else 6  # logarithm of a superblock's side
    columns, rows = (-(-2 * ((side + 7) >> 3) // (1 << (size - 2))) for side in (f.width, f.height))
    most_width = _MOST_WIDTH >> size
    least_tiles = max(_log2(most_width, columns), _log2(_MOST_AREA >> 2 * size, rows * columns))
    if c.flag("uniform_tile_spacing_flag"):
        least = _log2(most_width, columns)
        f.tile_columns, column_bits = _uniform(c, "tile_cols_log2", columns, least, _MOST_COLUMNS)
        f.tile_rows, row_bits = _uniform(c, "tile_rows_log2", rows, max(least_tiles - column_bits, 0), _MOST_ROWS)
    else:
        f.tile_columns, widest = _sized(c, "width_in_sbs_minus_1", columns, most_width, _MOST_COLUMNS)
        area = rows * columns >> (least_tiles + 1 if least_tiles else 0)
        f.tile_rows, _ = _sized(c, "height_in_sbs_minus_1", rows, max(area // widest, 1), _MOST_ROWS)
        column_bits, row_bits = _log2(1, f.tile_columns), _log2(1, f.tile_rows)
    if column_bits + row_bits:
        c.code("context_update_tile_id", bits(column_bits + row_bits))
        c.code("tile_size_bytes_minus1", bits(2))
    f.tile_bits = _log2(1, f.tile_columns) + _log2(1, f.tile_rows)


def tile_group(c: Elements, f: Frame) -> bool:
    """Go through what stands before the tiles of a group. Return whether the frame ends with it."""
    count = f.tile_columns * f.tile_rows
    if count == 1 or not c.flag("tile_start_and_end_present_flag"):
        return True
    c.code("tg_start", bits(f.tile_bits))
    return c.code("tg_end", bits(f.tile_bits)) == count - 1


def _log2(block: int, target: int) -> int:
    """Return the smallest k for which ``block`` * 2^k is at least ``target``."""
    k = 0
    while block << k < target:
        k += 1
    return k


def _uniform(c: Elements, name: str, blocks: int, least: int, most: int) -> tuple[int, int]:
    highest = _log2(1, min(blocks, most))
    width = c.code(name, counted(least, max(highest, least)))
    each = (blocks + (1 << width) - 1) >> width
    return -(-blocks // each), width


def _sized(c: Elements, name: str, blocks: int, widest: int, most: int) -> tuple[int, int]:
    """Return how many tiles there are in one direction, and the size of the largest."""
    start = count = largest = 0
    while start < blocks:
        if count == most:
            raise NotPackableError("a frame has too many tiles")
        size = c.code(name, below(min(blocks - start, widest)), count) + 1
        largest = max(largest, size)
        start += size
        count += 1
    return count, largest
