"""At which size pictures are restored."""

MOST_PIXELS = 960 * 540  # more is scaled up afterwards: low rates leave nothing to restore there, and time is short

MOST_CODED = 1920 * 1088  # larger ones are scaled alone: of 8K the network takes 3 GiB and 6 s for a picture


def is_restored(width: int, height: int) -> bool:
    """Return whether pictures of a coded size are restored."""
    return width * height <= MOST_CODED


def restored_size(shown: tuple[int, int], coded: tuple[int, int]) -> tuple[int, int]:
    """Return width and height, in pixels, at which pictures of ``coded`` size are restored to be shown at ``shown``.

    It is the shown size where that is no larger than ``MOST_PIXELS`` and the coded one, else the same shape with as
    many pixels as the larger of the two.
    """
    width, height = shown
    most = max(MOST_PIXELS, coded[0] * coded[1])
    if width * height <= most:
        return shown
    factor = (most / (width * height)) ** 0.5
    return max(int(width * factor / 2) * 2, 2), max(int(height * factor / 2) * 2, 2)
