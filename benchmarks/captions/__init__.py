"""Captions: their coders side by side, the test captions, and the fit of the caption coder's weights."""
