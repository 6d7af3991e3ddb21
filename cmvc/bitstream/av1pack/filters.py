"""The filters of a frame (AV1 specification, sections 5.9.11, 5.9.19, 5.9.20)."""

from cmvc.bitstream.av1pack.kinds import bits, counted, signed
from cmvc.bitstream.av1pack.state import Elements, Frame, Sequence

_REFERENCE_DELTAS = 8
_MODE_DELTAS = 2
_DELTA = signed(7)


def loop_filter_params(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through loop_filter_params."""
    if f.coded_lossless or f.allow_intrabc:
        return
    for k in range(2):
        f.loop_filter[k] = c.code("loop_filter_level", bits(6), k)
    if not s.monochrome and any(f.loop_filter):
        for k in (2, 3):
            f.loop_filter[k] = c.code("loop_filter_level", bits(6), k)
    c.code("loop_filter_sharpness", bits(3))
    if not c.flag("loop_filter_delta_enabled") or not c.flag("loop_filter_delta_update"):
        return
    for k in range(_REFERENCE_DELTAS):
        if c.flag("update_ref_delta", k):
            c.code("loop_filter_ref_deltas", _DELTA, k)
    for k in range(_MODE_DELTAS):
        if c.flag("update_mode_delta", k):
            c.code("loop_filter_mode_deltas", _DELTA, k)


def cdef_params(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through cdef_params."""
    if f.coded_lossless or f.allow_intrabc or not s.cdef:
        return
    c.code("cdef_damping_minus_3", bits(2))
    f.cdef_bits = c.code("cdef_bits", bits(2))
    for k in range(1 << f.cdef_bits):
        f.cdef.append(c.code("cdef_y_pri_strength", bits(4), k))
        f.cdef.append(c.code("cdef_y_sec_strength", bits(2), k))
        if not s.monochrome:
            f.cdef.append(c.code("cdef_uv_pri_strength", bits(4), k))
            f.cdef.append(c.code("cdef_uv_sec_strength", bits(2), k))


def restoration_params(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through lr_params."""
    if f.all_lossless or f.allow_intrabc or not s.restoration:
        return
    kinds = [c.code("lr_type", bits(2), plane) for plane in range(1 if s.monochrome else 3)]
    if not any(kinds):
        return
    c.code("lr_unit_shift", counted(1 if s.large_superblocks else 0, 2))
    if s.subsampling == (1, 1) and any(kinds[1:]):
        c.flag("lr_uv_shift")
