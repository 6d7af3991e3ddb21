from fractions import Fraction

from hypothesis import assume, example, given
from hypothesis import strategies as st

from cmvc_encoder.planning.ledger import BOUND, Ledger

RATES = st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(10), Fraction(50)])
WINDOWS = st.lists(st.tuples(st.integers(1, 500), st.floats(0.5, 1.0)), min_size=1, max_size=20)


def _spend(ledger: Ledger, windows: list[tuple[int, float]], head: int, trailer: int) -> tuple[int, list[int]]:
    spent, before, budgets = head, 0, []
    for number, (frames, use) in enumerate(windows, 1):
        last = number == len(windows)
        budget = ledger.budget(frames_before=before, frames=frames, spent=spent, trailer=trailer, last=last)
        budgets.append(budget)
        spent += int(budget * use)
        before += frames
    return spent + trailer, budgets


@example(rate=Fraction(24), bits=1000, windows=[(33, 1.0), (1, 1.0), (1, 1.0)])
@given(rate=RATES, bits=st.integers(1000, 1_000_000), windows=WINDOWS)
def test_whole_stream_stays_under_target_whatever_the_windows_use(rate, bits, windows):
    ledger = Ledger(bits, rate)
    total, _ = _spend(ledger, windows, head=60, trailer=30)
    frames = sum(count for count, _ in windows)
    # A stream whose head and trailer alone take most of its bytes has its floor above the target.
    assume(ledger.allowed(frames) >= 2 * (60 + 30))
    assert total <= ledger.allowed(frames)


@given(rate=RATES, bits=st.integers(20_000, 1_000_000), frames=st.lists(st.integers(50, 500), min_size=1, max_size=20))
def test_windows_that_use_their_budget_fill_the_target(rate, bits, frames):
    ledger = Ledger(bits, rate)
    total, _ = _spend(ledger, [(count, 1.0) for count in frames], head=60, trailer=30)
    assert total >= ledger.allowed(sum(frames)) - len(frames)


def test_unspent_bytes_reach_later_windows_within_the_bound():
    ledger = Ledger(8000, Fraction(10))  # 100 bytes a frame
    kwargs = {"frames": 10, "trailer": 0, "last": False}
    assert ledger.budget(frames_before=10, spent=700, **kwargs) == 1300
    assert ledger.budget(frames_before=100, spent=700, **kwargs) == int(BOUND * 1000)
    assert ledger.budget(frames_before=100, frames=10, trailer=0, spent=700, last=True) == 10300


def test_overspending_is_paid_back_over_several_windows():
    ledger = Ledger(8000, Fraction(10))
    budget = ledger.budget(frames_before=10, frames=10, spent=5000, trailer=0, last=False)
    assert budget == 500
    assert ledger.budget(frames_before=10, frames=10, spent=5000, trailer=0, last=True) == 0
