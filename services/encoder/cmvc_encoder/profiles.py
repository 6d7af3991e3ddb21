"""The profile table that a stream starts with."""

from cmvc.v1 import bitstream_pb2 as pb

EMBEDDED = "embedded"


def embedded_profiles() -> pb.ProfileTable:
    """Return the table of a stream made for the embedded generator, which has no settings and no adapter."""
    return pb.ProfileTable(profiles=[pb.Profile(id=EMBEDDED, revision="1")])
