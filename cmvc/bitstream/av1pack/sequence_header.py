"""The sequence header (AV1 specification, sections 5.5 and 5.6)."""

from cmvc.bitstream.av1pack.kinds import UVLC, bits
from cmvc.bitstream.av1pack.state import Elements, OperatingPoint, Sequence

_PROFESSIONAL = 2
_HIGH = 1
_HIGHEST_UNTIERED_LEVEL = 7
_SRGB = (1, 13, 0)  # primaries, transfer, matrix
_UNSPECIFIED = (2, 2, 2)


def sequence_header(c: Elements) -> Sequence:
    """Go through a sequence header and return what others need of it."""
    s = Sequence()
    profile = c.code("seq_profile", bits(3))
    c.flag("still_picture")
    s.reduced = c.flag("reduced_still_picture_header")
    if s.reduced:
        c.code("seq_level_idx", bits(5), 0)
    else:
        _operation(c, s)
    _sizes(c, s)
    c.flag("enable_filter_intra")
    c.flag("enable_intra_edge_filter")
    if not s.reduced:
        _tools(c, s)
    s.superres = c.flag("enable_superres")
    s.cdef = c.flag("enable_cdef")
    s.restoration = c.flag("enable_restoration")
    _color_config(c, s, profile)
    s.film_grain = c.flag("film_grain_params_present")
    return s


def _operation(c: Elements, s: Sequence) -> None:
    delay_bits = 0
    if c.flag("timing_info_present_flag"):
        c.code("num_units_in_display_tick", bits(32))
        c.code("time_scale", bits(32))
        s.equal_picture_interval = c.flag("equal_picture_interval")
        if s.equal_picture_interval:
            c.code("num_ticks_per_picture_minus_1", UVLC)
        s.decoder_model_info = c.flag("decoder_model_info_present_flag")
        if s.decoder_model_info:
            delay_bits = c.code("buffer_delay_length_minus_1", bits(5)) + 1
            c.code("num_units_in_decoding_tick", bits(32))
            s.removal_time_bits = c.code("buffer_removal_time_length_minus_1", bits(5)) + 1
            s.presentation_time_bits = c.code("frame_presentation_time_length_minus_1", bits(5)) + 1
    display_delay = c.flag("initial_display_delay_present_flag")
    count = c.code("operating_points_cnt_minus_1", bits(5)) + 1
    s.operating_points = [_operating_point(c, s, k, delay_bits, display_delay) for k in range(count)]


def _operating_point(c: Elements, s: Sequence, k: int, delay_bits: int, display_delay: int) -> OperatingPoint:
    point = OperatingPoint(c.code("operating_point_idc", bits(12), k))
    if c.code("seq_level_idx", bits(5), k) > _HIGHEST_UNTIERED_LEVEL:
        c.flag("seq_tier", k)
    if s.decoder_model_info:
        point.decoder_model = c.flag("decoder_model_present_for_this_op", k)
        if point.decoder_model:
            c.code("decoder_buffer_delay", bits(delay_bits), k)
            c.code("encoder_buffer_delay", bits(delay_bits), k)
            c.flag("low_delay_mode_flag", k)
    if display_delay and c.flag("initial_display_delay_present_for_this_op", k):
        c.code("initial_display_delay_minus_1", bits(4), k)
    return point


def _sizes(c: Elements, s: Sequence) -> None:
    s.width_bits = c.code("frame_width_bits_minus_1", bits(4)) + 1
    s.height_bits = c.code("frame_height_bits_minus_1", bits(4)) + 1
    s.width = c.code("max_frame_width_minus_1", bits(s.width_bits)) + 1
    s.height = c.code("max_frame_height_minus_1", bits(s.height_bits)) + 1
    if not s.reduced and c.flag("frame_id_numbers_present_flag"):
        s.delta_frame_id_bits = c.code("delta_frame_id_length_minus_2", bits(4)) + 2
        s.frame_id_bits = c.code("additional_frame_id_length_minus_1", bits(3)) + s.delta_frame_id_bits + 1
    s.large_superblocks = c.flag("use_128x128_superblock")


def _tools(c: Elements, s: Sequence) -> None:
    c.flag("enable_interintra_compound")
    c.flag("enable_masked_compound")
    s.warped_motion = c.flag("enable_warped_motion")
    c.flag("enable_dual_filter")
    order_hint = c.flag("enable_order_hint")
    if order_hint:
        c.flag("enable_jnt_comp")
        s.reference_mvs = c.flag("enable_ref_frame_mvs")
    if not c.flag("seq_choose_screen_content_tools"):
        s.force_screen_content = c.flag("seq_force_screen_content_tools")
    if s.force_screen_content and not c.flag("seq_choose_integer_mv"):
        s.force_integer_mv = c.flag("seq_force_integer_mv")
    if order_hint:
        s.order_hint_bits = c.code("order_hint_bits_minus_1", bits(3)) + 1


def _color_config(c: Elements, s: Sequence, profile: int) -> None:
    depth = 8 + 2 * c.flag("high_bitdepth")
    if profile == _PROFESSIONAL and depth > 8:
        depth += 2 * c.flag("twelve_bit")
    s.monochrome = c.flag("mono_chrome") if profile != _HIGH else 0
    code_points = _UNSPECIFIED
    if c.flag("color_description_present_flag"):
        names = ("color_primaries", "transfer_characteristics", "matrix_coefficients")
        primaries, transfer, matrix = (c.code(name, bits(8)) for name in names)
        code_points = primaries, transfer, matrix
    if s.monochrome:
        c.flag("color_range")
        return
    if code_points == _SRGB:
        s.subsampling = (0, 0)
    else:
        c.flag("color_range")
        s.subsampling = _subsampling(c, profile, depth)
        if s.subsampling == (1, 1):
            c.code("chroma_sample_position", bits(2))
    s.separate_uv_delta_q = c.flag("separate_uv_delta_q")


def _subsampling(c: Elements, profile: int, depth: int) -> tuple[int, int]:
    if profile != _PROFESSIONAL:
        return (0, 0) if profile == _HIGH else (1, 1)
    if depth < 12:
        return 1, 0
    horizontal = c.flag("subsampling_x")
    return horizontal, c.flag("subsampling_y") if horizontal else 0
