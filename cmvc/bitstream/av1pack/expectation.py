"""What knows how to code one syntax element."""

from collections.abc import Callable

from cmvc.bitstream.av1pack.history import History
from cmvc.bitstream.av1pack.symbols import Symbols

Expectation = Callable[[History, Symbols, int], int]
"""Codes the element that the history says; takes its value, which a decoder ignores, and returns it."""
