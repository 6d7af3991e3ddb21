"""Mode coders, one file per mode."""
