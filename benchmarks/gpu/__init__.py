"""What the profiles cost on a GPU, at the sizes of the real models."""
