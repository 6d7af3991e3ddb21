"""Film grain (AV1 specification, section 5.9.30)."""

from cmvc.bitstream.av1pack.kinds import bits
from cmvc.bitstream.av1pack.state import Elements, Frame, FrameType, Sequence

_BYTE = bits(8)


def film_grain_params(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through film_grain_params of a frame that is or can be shown."""
    if not c.flag("apply_grain"):
        return
    c.code("grain_seed", bits(16))
    if f.frame_type == FrameType.INTER and not c.flag("update_grain"):
        c.code("film_grain_params_ref_idx", bits(3))
        return
    luma = _points(c, "y")
    from_luma = 0 if s.monochrome else c.flag("chroma_scaling_from_luma")
    cb = cr = 0
    if not (s.monochrome or from_luma or (s.subsampling == (1, 1) and not luma)):
        cb, cr = _points(c, "cb"), _points(c, "cr")
    c.code("grain_scaling_minus_8", bits(2))
    _autoregression(c, luma, cb or from_luma, cr or from_luma)
    c.code("ar_coeff_shift_minus_6", bits(2))
    c.code("grain_scale_shift", bits(2))
    for plane, points in (("cb", cb), ("cr", cr)):
        if points:
            c.code(f"{plane}_mult", _BYTE)
            c.code(f"{plane}_luma_mult", _BYTE)
            c.code(f"{plane}_offset", bits(9))
    c.flag("overlap_flag")
    c.flag("clip_to_restricted_range")


def _points(c: Elements, plane: str) -> int:
    count = c.code(f"num_{plane}_points", bits(4))
    for k in range(count):
        c.code(f"point_{plane}_value", _BYTE, k)
        c.code(f"point_{plane}_scaling", _BYTE, k)
    return count


def _autoregression(c: Elements, luma: int, cb: int, cr: int) -> None:
    lag = c.code("ar_coeff_lag", bits(2))
    count = 2 * lag * (lag + 1)
    for plane, there, extra in (("y", luma, 0), ("cb", cb, 1), ("cr", cr, 1)):
        for k in range(count + (extra if luma else 0) if there else 0):
            c.code(f"ar_coeffs_{plane}_plus_128", _BYTE, k)
