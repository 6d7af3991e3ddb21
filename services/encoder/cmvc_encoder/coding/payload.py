"""AV1 data as a segment carries them."""


def payload(obus: bytes) -> bytes:
    """Return what a segment carries for AV1 OBUs."""
    return obus


def payload_size(obus: bytes) -> int:
    """Return about the bytes that AV1 OBUs take in a segment, for comparing trials."""
    return len(obus)
