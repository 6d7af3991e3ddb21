"""What AV1 data costs in a segment."""


def payload_size(obus: bytes) -> int:
    """Return the bytes that AV1 OBUs take in a segment."""
    return len(obus)
