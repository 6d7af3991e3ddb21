"""The ledger of a stream's bytes: what was spent, and what the next window may take."""

from fractions import Fraction

BOUND = 2.0  # a window gets at most this many times its fair share, so that one scene cannot eat what all saved
REPAY = 0.5  # and gives back at most this part of it, so that one dear scene does not starve the next


class Ledger:
    """Budgets for windows such that the whole stream ends just under ``bits_per_second``.

    All sizes are in bytes and count everything: preamble, header, profiles, segments with audio, trailer.
    """

    def __init__(self, bits_per_second: int, frame_rate: Fraction) -> None:
        """Start with nothing spent."""
        self._bytes_per_frame = Fraction(bits_per_second) / 8 / frame_rate

    def allowed(self, frames: int) -> int:
        """Return the bytes that a stream of ``frames`` frames may take."""
        return int(self._bytes_per_frame * frames)

    def budget(self, *, frames_before: int, frames: int, spent: int, trailer: int, last: bool) -> int:
        """Return what the next window may take with all its segments and their audio; never negative.

        Args:
            frames_before: frames already coded.
            frames: frames of the window.
            spent: bytes already written.
            trailer: bytes that the trailer will take once this window is in it.
            last: whether no window follows. The last one takes whatever is left.
        """
        left = self.allowed(frames_before + frames) - spent - trailer
        if last:
            return max(left, 0)
        fair = float(self._bytes_per_frame * frames)
        return int(min(max(left, fair * (1 - REPAY)), fair * BOUND))
