"""The frame header (AV1 specification, section 5.9)."""

from cmvc.bitstream.av1pack.filters import cdef_params, loop_filter_params, restoration_params
from cmvc.bitstream.av1pack.frame_size import frame_size, frame_size_with_references, render_size
from cmvc.bitstream.av1pack.global_motion import global_motion_params
from cmvc.bitstream.av1pack.grain import film_grain_params
from cmvc.bitstream.av1pack.kinds import bits, counted
from cmvc.bitstream.av1pack.quantisation import (
    delta_params,
    find_lossless,
    quantisation_params,
    segmentation_params,
)
from cmvc.bitstream.av1pack.references import short_signalled, skip_mode_allowed
from cmvc.bitstream.av1pack.state import (
    NO_PRIMARY,
    REFERENCES,
    SELECT,
    SLOTS,
    Elements,
    Frame,
    FrameType,
    OperatingPoint,
    Sequence,
    Slots,
)
from cmvc.bitstream.av1pack.tiles import tile_info

_ALL_SLOTS = (1 << SLOTS) - 1


def show_existing_frame(c: Elements, s: Sequence) -> int:
    """Go through the elements that show a frame from its slot, behind their flag. Return the slot."""
    slot = c.code("frame_to_show_map_idx", bits(3))
    _presentation_time(c, s)
    if s.frame_id_bits:
        c.code("display_frame_id", bits(s.frame_id_bits))
    return slot


def frame_header(c: Elements, s: Sequence, slots: Slots, f: Frame, layer: tuple[int, int]) -> None:
    """Go through a header behind ``show_existing_frame``, which is 0, and fill ``f``.

    Args:
        c: what goes through it.
        s: of the sequence.
        slots: as they are before the frame.
        f: a new frame.
        layer: temporal and spatial.
    """
    _frame_type(c, s, f)
    if f.frame_type == FrameType.KEY and f.show_frame:
        slots.frames = [None] * SLOTS
    f.disable_cdf_update = c.flag("disable_cdf_update")
    _screen_content(c, s, f)
    _identity(c, s, f)
    _removal_times(c, s, layer)
    _refresh(c, s, slots, f)
    if f.intra:
        _intra_frame(c, s, f)
    else:
        _inter_frame(c, s, slots, f)
    if not (s.reduced or f.disable_cdf_update):
        c.flag("disable_frame_end_update_cdf")
    tile_info(c, s, f)
    _coding(c, s, slots, f)


def _frame_type(c: Elements, s: Sequence, f: Frame) -> None:
    if s.reduced:
        return
    f.frame_type = c.code("frame_type", bits(2))
    f.show_frame = c.flag("show_frame")
    if f.show_frame:
        _presentation_time(c, s)
        f.showable_frame = int(f.frame_type != FrameType.KEY)
    else:
        f.showable_frame = c.flag("showable_frame")
    if f.frame_type != FrameType.SWITCH and not (f.frame_type == FrameType.KEY and f.show_frame):
        f.error_resilient_mode = c.flag("error_resilient_mode")


def _presentation_time(c: Elements, s: Sequence) -> None:
    if s.decoder_model_info and not s.equal_picture_interval:
        c.code("frame_presentation_time", bits(s.presentation_time_bits))


def _screen_content(c: Elements, s: Sequence, f: Frame) -> None:
    f.screen_content = s.force_screen_content
    if f.screen_content == SELECT:
        f.screen_content = c.flag("allow_screen_content_tools")
    if f.screen_content:
        f.force_integer_mv = s.force_integer_mv
        if f.force_integer_mv == SELECT:
            f.force_integer_mv = c.flag("force_integer_mv")


def _identity(c: Elements, s: Sequence, f: Frame) -> None:
    if s.frame_id_bits:
        f.frame_id = c.code("current_frame_id", bits(s.frame_id_bits))
    if f.frame_type == FrameType.SWITCH:
        f.size_override = 1
    elif not s.reduced:
        f.size_override = c.flag("frame_size_override_flag")
    if s.order_hint_bits:
        f.order_hint = c.code("order_hint", bits(s.order_hint_bits))
    if not (f.intra or f.error_resilient_mode):
        f.primary_ref_frame = c.code("primary_ref_frame", bits(3))


def _removal_times(c: Elements, s: Sequence, layer: tuple[int, int]) -> None:
    if not s.decoder_model_info or not c.flag("buffer_removal_time_present_flag"):
        return
    for k, point in enumerate(s.operating_points):
        if point.decoder_model and _in_layer(point, layer):
            c.code("buffer_removal_time", bits(s.removal_time_bits), k)


def _in_layer(point: OperatingPoint, layer: tuple[int, int]) -> bool:
    temporal, spatial = layer
    return not point.idc or bool(point.idc >> temporal & 1 and point.idc >> (spatial + 8) & 1)


def _refresh(c: Elements, s: Sequence, slots: Slots, f: Frame) -> None:
    if f.frame_type != FrameType.SWITCH and not (f.frame_type == FrameType.KEY and f.show_frame):
        f.refresh_frame_flags = c.code("refresh_frame_flags", bits(SLOTS))
    if f.intra and f.refresh_frame_flags == _ALL_SLOTS:
        return
    if f.error_resilient_mode and s.order_hint_bits:
        for slot in range(SLOTS):
            hint = c.code("ref_order_hint", bits(s.order_hint_bits), slot)
            if slots.frames[slot] is None or hint != slots.hint(slot):
                slots.frames[slot] = Frame(order_hint=hint)


def _intra_frame(c: Elements, s: Sequence, f: Frame) -> None:
    frame_size(c, s, f)
    render_size(c, f)
    if f.screen_content and f.upscaled_width == f.width:
        f.allow_intrabc = c.flag("allow_intrabc")


def _inter_frame(c: Elements, s: Sequence, slots: Slots, f: Frame) -> None:
    _references(c, s, slots, f)
    if f.size_override and not f.error_resilient_mode:
        frame_size_with_references(c, s, slots, f)
    else:
        frame_size(c, s, f)
        render_size(c, f)
    if not f.force_integer_mv:
        f.high_precision_mv = c.flag("allow_high_precision_mv")
    if not c.flag("is_filter_switchable"):
        c.code("interpolation_filter", bits(2))
    c.flag("is_motion_mode_switchable")
    if s.reference_mvs and not f.error_resilient_mode:
        c.flag("use_ref_frame_mvs")


def _references(c: Elements, s: Sequence, slots: Slots, f: Frame) -> None:
    short = c.flag("frame_refs_short_signaling") if s.order_hint_bits else 0
    if short:
        last = c.code("last_frame_idx", bits(3))
        golden = c.code("golden_frame_idx", bits(3))
        f.reference_slots = short_signalled(s, slots, f.order_hint, last, golden)
    for k in range(REFERENCES):
        if not short:
            f.reference_slots.append(c.code("ref_frame_idx", bits(3), k))
        if s.frame_id_bits:
            c.code("delta_frame_id_minus1", bits(s.delta_frame_id_bits), k)


def _coding(c: Elements, s: Sequence, slots: Slots, f: Frame) -> None:
    previous = None if f.primary_ref_frame == NO_PRIMARY else slots.frames[f.reference_slots[f.primary_ref_frame]]
    quantisation_params(c, s, f)
    segmentation_params(c, f, previous)
    delta_params(c, f)
    find_lossless(f)
    loop_filter_params(c, s, f)
    cdef_params(c, s, f)
    restoration_params(c, s, f)
    if not f.coded_lossless:
        c.code("tx_mode", counted(1, 2))
    if not f.intra:
        f.reference_select = c.flag("reference_select")
    if skip_mode_allowed(s, slots, f):
        c.flag("skip_mode_present")
    if s.warped_motion and not (f.intra or f.error_resilient_mode):
        c.flag("allow_warped_motion")
    c.flag("reduced_tx_set")
    if not f.intra:
        global_motion_params(c, f, previous)
    if s.film_grain and (f.show_frame or f.showable_frame):
        film_grain_params(c, s, f)
