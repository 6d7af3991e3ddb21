"""How coarse a frame is, and where (AV1 specification, sections 5.9.12 to 5.9.14, 5.9.17, 5.9.18, 7.12.2)."""

from cmvc.bitstream.av1pack.kinds import Kind, bits, signed
from cmvc.bitstream.av1pack.state import FEATURES, NO_PRIMARY, SEGMENTS, Elements, Frame, Sequence

_FEATURE_KINDS: tuple[Kind | None, ...] = (signed(9), *[signed(7)] * 4, bits(3), None, None)
_QUANTISER = 0  # the feature


def quantisation_params(c: Elements, s: Sequence, f: Frame) -> None:
    """Go through quantization_params."""
    f.base_q_idx = c.code("base_q_idx", bits(8))
    f.delta_q = [_delta_q(c, "delta_q_y_dc")]
    if not s.monochrome:
        apart = c.flag("diff_uv_delta") if s.separate_uv_delta_q else 0
        names = ["delta_q_u_dc", "delta_q_u_ac", *(["delta_q_v_dc", "delta_q_v_ac"] if apart else [])]
        f.delta_q += [_delta_q(c, name) for name in names]
    if c.flag("using_qmatrix"):
        c.code("qm_y", bits(4))
        c.code("qm_u", bits(4))
        if s.separate_uv_delta_q:
            c.code("qm_v", bits(4))


def _delta_q(c: Elements, name: str) -> int:
    return c.code(name, signed(7)) if c.flag(f"{name}.delta_coded") else 0


def segmentation_params(c: Elements, f: Frame, previous: Frame | None) -> None:
    """Go through segmentation_params; ``previous`` is the primary reference."""
    f.segmentation = c.flag("segmentation_enabled")
    if not f.segmentation:
        return
    update = 1
    if f.primary_ref_frame != NO_PRIMARY:
        if c.flag("segmentation_update_map"):
            c.flag("segmentation_temporal_update")
        update = c.flag("segmentation_update_data")
    if not update:
        f.features = previous.features if previous else {}
        return
    for segment in range(SEGMENTS):
        for feature in range(FEATURES):
            if c.flag("feature_enabled", segment, feature):
                kind = _FEATURE_KINDS[feature]
                f.features[segment, feature] = c.code("feature_value", kind, segment, feature) if kind else 0


def delta_params(c: Elements, f: Frame) -> None:
    """Go through delta_q_params and delta_lf_params."""
    if not f.base_q_idx:
        return
    f.delta_q_present = c.flag("delta_q_present")
    if not f.delta_q_present:
        return
    c.code("delta_q_res", bits(2))
    if not f.allow_intrabc and c.flag("delta_lf_present"):
        c.code("delta_lf_res", bits(2))
        c.flag("delta_lf_multi")


def find_lossless(f: Frame) -> None:
    """Set whether the frame is lossless."""
    offsets = [f.features.get((segment, _QUANTISER), 0) for segment in range(SEGMENTS)]
    f.coded_lossless = int(not any(f.delta_q) and all(f.base_q_idx + offset <= 0 for offset in offsets))
    f.all_lossless = int(f.coded_lossless and f.width == f.upscaled_width)
