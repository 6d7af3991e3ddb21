"""A toy SmolVLM that looks: real classes, small enough to be committed, trained on one small world."""

from pathlib import Path

FOLDER = Path(__file__).parent / "weights"
