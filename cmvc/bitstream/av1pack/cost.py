"""What coding would cost, without coding."""

from math import log2

_BITS = [0.0, *(-log2(k / 4096) for k in range(1, 4097))]


class CostCoder:
    """Takes bits as an encoder does and adds up how many they would become."""

    def __init__(self) -> None:
        self.bits = 0.0

    def odds(self, zero: int, bit: int) -> int:
        """Count one bit that is 0 with probability ``zero``, in 1/65536."""
        self.bits += _BITS[((1 << 16) - zero if bit else zero) + 8 >> 4]
        return bit

    def even(self, bits: int, value: int) -> int:
        """Count equally likely bits."""
        self.bits += bits
        return value
