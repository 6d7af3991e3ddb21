"""AV1 data as a segment carries them: packed, since headers are a fifth to three quarters of them at low rates."""

from cmvc.bitstream.av1pack.payload import pack, packed_size


def payload(obus: bytes) -> bytes:
    """Return what a segment carries for AV1 OBUs."""
    return pack(obus)


def payload_size(obus: bytes) -> int:
    """Return about the bytes that AV1 OBUs take in a segment, for comparing trials."""
    return packed_size(obus)
