"""Which mode a window is coded in, and how many bytes it may take."""
