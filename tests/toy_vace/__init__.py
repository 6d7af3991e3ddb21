"""A FIXTURE, not a model to use: a toy VACE checkpoint, trained on videos that the project paints itself."""
