"""What the diffusion profiles share: the native grid, windows, colour, settings and loading."""
