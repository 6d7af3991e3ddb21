"""The motion track of an IT2V segment: placeholder until the coder lands."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MotionTrack:
    """Decoded motion track."""
