import contextlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.bitstream.av1pack.stream import ObuType
from cmvc.bitstream.obu import TEMPORAL_DELIMITER, split_obus
from cmvc.errors import BitstreamError, InvalidSettingError, LimitError
from cmvc.limits import Limits
from cmvc.media import av1
from cmvc.media.picture import Picture

RATE = Fraction(24)


def _picture(shift: int = 0, width: int = 64, height: int = 48) -> Picture:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    luma = 120 + 60 * np.sin((x + shift) / 7) + 30 * np.cos(y / 5)
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 100, np.uint8)
    return Picture(luma.astype(np.uint8), chroma, chroma + np.uint8(40))


PICTURES = [_picture(2 * n) for n in range(10)]
CODED = av1.encode(PICTURES, frame_rate=RATE, crf=30, preset=10)


def _error(a: Picture, b: Picture) -> float:
    return float(np.mean((a.y.astype(float) - b.y) ** 2))


def test_round_trip_keeps_count_size_and_looks():
    decoded = list(av1.decode(CODED))
    assert len(decoded) == len(PICTURES)
    for before, after in zip(PICTURES, decoded, strict=True):
        assert [plane.shape for plane in after.planes] == [plane.shape for plane in before.planes]
        assert _error(before, after) < 20 < _error(PICTURES[0], PICTURES[-1])


def test_same_input_gives_the_same_bytes_and_no_temporal_delimiters():
    assert av1.encode(PICTURES, frame_rate=RATE, crf=30, preset=10) == CODED
    assert TEMPORAL_DELIMITER not in {kind for kind, _ in split_obus(CODED)}


def test_what_does_not_decode_is_coded_once_more(monkeypatch):
    """As SVT-AV1 was seen to do on a machine under load."""
    encode_once, results = av1.encode_once, []

    def first_damaged(*arguments):
        obus = encode_once(*arguments)
        results.append(obus)
        return obus if len(results) > 1 else b"".join(obu for _, obu in list(split_obus(obus))[:-2])

    monkeypatch.setattr(av1, "encode_once", first_damaged)
    assert av1.encode(PICTURES, frame_rate=RATE, crf=30, preset=10) == CODED
    assert len(results) == 2


def test_a_higher_price_of_bits_is_smaller():
    sizes = [len(av1.encode(PICTURES, frame_rate=RATE, crf=45, preset=8, bit_price=price)) for price in (0.5, 1, 2)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_higher_crf_is_smaller_in_quarter_steps():
    sizes = [len(av1.encode(PICTURES, frame_rate=RATE, crf=crf, preset=10)) for crf in (20, 20.25, 40, 63)]
    assert sizes[0] > sizes[2] > sizes[3]
    assert sizes[1] != sizes[0]


def test_still_decodes_to_one_picture_and_is_smaller():
    still = av1.encode(PICTURES[:1], frame_rate=RATE, crf=50, still=True)
    assert len(list(av1.decode(still))) == 1
    with pytest.raises(InvalidSettingError, match="exactly one"):
        av1.encode(PICTURES[:2], frame_rate=RATE, crf=50, still=True)


def test_even_quality_evens_out_quality():
    rng = np.random.default_rng(1)
    texture = rng.integers(-40, 40, (96, 256))
    pictures = [
        Picture((base.y + texture[:, 20 * n : 20 * n + 128]).clip(16, 235).astype(np.uint8), base.u, base.v)
        for n, base in enumerate([_picture(20 * n, 128, 96) for n in range(3)])
    ]

    def spread(even: bool) -> float:
        obus = av1.encode(pictures, frame_rate=RATE, crf=50, even_quality=even)
        errors = [_error(a, b) for a, b in zip(pictures, av1.decode(obus), strict=True)]
        return max(errors) / min(errors)

    assert spread(True) < spread(False)


@pytest.mark.parametrize("size", [(30, 32), (32, 30), (63, 48), (64, 47)])
def test_sizes_that_the_encoder_cannot_take_are_refused(size):
    with pytest.raises(InvalidSettingError, match=f"{size[0]}x{size[1]}"):
        av1.encode([_picture(0, *size)], frame_rate=RATE, crf=40)


def test_mixed_sizes_and_wild_crf_are_refused():
    with pytest.raises(InvalidSettingError, match="one size"):
        av1.encode([_picture(), _picture(0, 32, 32)], frame_rate=RATE, crf=40)
    with pytest.raises(InvalidSettingError, match="crf"):
        av1.encode([_picture()], frame_rate=RATE, crf=71)


@pytest.mark.parametrize(
    "limits",
    [Limits(pixels=64 * 48 - 1), Limits(width=63), Limits(height=47), Limits(segment_frames=9)],
    ids=["pixels", "width", "height", "frames"],
)
def test_pictures_over_the_limits_are_refused(limits):
    with pytest.raises(LimitError):
        list(av1.decode(CODED, limits))


def test_pictures_at_the_limits_pass():
    limits = Limits(pixels=64 * 48, width=64, height=48, segment_frames=10)
    assert len(list(av1.decode(CODED, limits))) == 10


def test_pictures_that_are_never_shown_are_bounded():
    """Each takes as long as one that is, and no frame of the segment accounts for it."""
    obus = list(split_obus(av1.encode([_picture(n) for n in range(20)], frame_rate=RATE, crf=60, preset=12)))
    assert len(list(av1.decode(b"".join(obu for _, obu in obus)))) == 20
    show = 0x10  # show_frame, after show_existing_frame and frame_type
    hidden = next(n for n, (kind, obu) in enumerate(obus) if kind == ObuType.FRAME and not obu[2] & (0x80 | show))
    start, again = b"".join(obu for _, obu in obus[:hidden]), obus[hidden][1]
    assert len(list(av1.decode(start + again))) == 1
    with pytest.raises(LimitError, match="coded for 1 that are shown"):
        list(av1.decode(start + 3000 * again))


def test_first_picture_comes_before_the_rest_is_looked_at():
    damaged = CODED[: len(CODED) * 3 // 4]
    kinds = list(split_obus(CODED))
    start = b"".join(obu for _, obu in kinds[:2])
    assert _error(next(av1.decode(start)), next(av1.decode(CODED))) == 0
    with pytest.raises(BitstreamError):
        list(av1.decode(damaged))


@settings(deadline=None, max_examples=60)
@given(position=st.integers(0, len(CODED) - 1), value=st.integers(0, 255))
def test_damage_is_an_error_of_the_stream_or_another_picture(position, value):
    damaged = CODED[:position] + bytes([value]) + CODED[position + 1 :]
    limits = Limits(pixels=1 << 20)
    try:
        decoded = list(av1.decode(damaged, limits))
    except (BitstreamError, LimitError):
        return
    assert all(picture.width * picture.height <= 1 << 20 for picture in decoded)


@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=200))
def test_noise_is_an_error_of_the_stream_or_nothing(data):
    with contextlib.suppress(BitstreamError, LimitError):
        assert list(av1.decode(data)) == []
