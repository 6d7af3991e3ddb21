"""Which frames of a shot are keyframes."""
