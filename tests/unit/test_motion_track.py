from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.errors import CmvcError, CorruptStreamError, LimitError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.motion.track import Control, Gap, MotionTrack, Side, control_offset, decode_track, encode_track
from cmvc.range_coder import BitDecoder, BitEncoder, Contexts


def random_track(seed, columns, rows, shape, amplitude):
    random = np.random.default_rng(seed)

    def vectors():
        return random.integers(-amplitude, amplitude + 1, (rows, columns, 2)).astype(np.int16)

    def control(two_sided):
        if not two_sided:
            return Control(vectors())
        return Control(vectors(), vectors(), random.integers(0, 3, (rows, columns)).astype(np.uint8))

    gaps = tuple(Gap(two_sided, tuple(control(two_sided) for _ in range(n))) for two_sided, n in shape)
    return MotionTrack(columns, rows, 3, gaps)


def assert_same(track, other):
    assert (track.columns, track.rows, track.step) == (other.columns, other.rows, other.step)
    assert len(track.gaps) == len(other.gaps)
    for gap, back in zip(track.gaps, other.gaps, strict=True):
        assert gap.two_sided == back.two_sided
        for a, b in zip(gap.controls, back.controls, strict=True):
            if not gap.two_sided:
                np.testing.assert_array_equal(a.to_opening, b.to_opening)
                continue
            np.testing.assert_array_equal(a.side, b.side)
            shown = a.side != Side.CLOSING
            np.testing.assert_array_equal(a.to_opening[shown], b.to_opening[shown])
            shown = a.side != Side.OPENING
            np.testing.assert_array_equal(a.to_closing[shown], b.to_closing[shown])


@settings(deadline=None, max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    columns=st.integers(1, 9),
    rows=st.integers(1, 9),
    shape=st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=3),
    amplitude=st.sampled_from([0, 1, 5, 400, 8191]),
)
def test_a_track_comes_back_as_it_was(seed, columns, rows, shape, amplitude):
    track = random_track(seed, columns, rows, shape, amplitude)
    assert_same(track, decode_track(encode_track(track)))


@settings(deadline=None, max_examples=300)
@given(data=st.binary(max_size=200))
def test_garbage_is_refused_or_read_but_never_worse(data):
    try:
        track = decode_track(data, replace(DEFAULT_LIMITS, motion_cells=2000))
    except CmvcError:
        return
    assert sum(c.to_opening.shape[0] * c.to_opening.shape[1] for g in track.gaps for c in g.controls) <= 2000


def test_a_truncated_or_lengthened_track_is_corrupt():
    data = encode_track(random_track(1, 8, 8, [(True, 3)], 50))
    for size in (0, 1, 2, len(data) // 2):
        with pytest.raises(CorruptStreamError):
            decode_track(data[:size])
    with pytest.raises(CorruptStreamError):
        decode_track(data + bytes(5))


def test_a_track_over_the_cell_limit_is_refused_before_it_is_read():
    track = random_track(1, 20, 20, [(True, 3)], 1)
    with pytest.raises(LimitError, match="motion cells"):
        decode_track(encode_track(track), replace(DEFAULT_LIMITS, motion_cells=1199))


def test_as_many_controls_as_fit_and_no_more():
    track = random_track(1, 2, 2, [(True, 15), (False, 15)], 5)
    assert_same(track, decode_track(encode_track(track)))
    for two_sided in (False, True):
        with pytest.raises(ValueError, match="15 controls"):
            encode_track(random_track(1, 2, 2, [(two_sided, 16)], 5))


def test_what_is_out_of_range_is_refused():
    vectors, side = np.zeros((2, 2, 2), np.int16), np.zeros((2, 2), np.uint8)
    wide, third = vectors + np.int16(8192), side + np.uint8(3)
    for control in (Control(wide, vectors, side), Control(vectors, -wide, side), Control(vectors, vectors, third)):
        with pytest.raises(ValueError, match=r"\.\."):
            encode_track(MotionTrack(2, 2, 1, (Gap(True, (control,)),)))


def test_a_steady_pan_costs_next_to_nothing():
    rows, columns, n = 15, 27, 5

    def control(k):
        opening = np.full((rows, columns, 2), (-12 * (k + 1), 3 * (k + 1)), np.int16)
        closing = np.full((rows, columns, 2), (12 * (n - k), -3 * (n - k)), np.int16)
        return Control(opening, closing, np.zeros((rows, columns), np.uint8))

    track = MotionTrack(columns, rows, 4, (Gap(True, tuple(control(k) for k in range(n))),))
    data = encode_track(track)
    assert_same(track, decode_track(data))
    assert len(data) <= 24


def test_controls_divide_a_gap_evenly():
    assert [control_offset(k, 3, 48) for k in range(3)] == [12, 24, 36]
    assert [control_offset(k, 1, 5) for k in range(1)] == [3]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=400), st.integers(0, 16))
def test_the_range_coder_is_exact(bits, width):
    encoder, contexts = BitEncoder(), Contexts([100, 32768, 65400])
    for index, bit in bits:
        encoder.bit(contexts, index, bit)
    encoder.even(width, (1 << width) - 1)
    data = encoder.finish()
    decoder, contexts = BitDecoder(data), Contexts([100, 32768, 65400])
    assert [decoder.bit(contexts, index) for index, _ in bits] == [bit for _, bit in bits]
    assert decoder.even(width) == (1 << width) - 1
    decoder.finish()


# Written by: encode_track(random_track(7, 4, 3, [(True, 2), (False, 1)], 20)).hex()
GOLDEN = (
    "030202052ed659fedf6d2ae5610278fde710ba29f2a3fed3274395597cad0e653e302b37bbff22faa94e27d195086044330e"
    "515477ca366b3778659dee51270f178a4da98b99b685e9934c6b6789df981090b7c7ffe4508820cdeab04e2a8a3404e2a915"
)


def test_the_format_stays_what_it_is():
    track = random_track(7, 4, 3, [(True, 2), (False, 1)], 20)
    assert encode_track(track).hex() == GOLDEN
    assert_same(track, decode_track(bytes.fromhex(GOLDEN)))
