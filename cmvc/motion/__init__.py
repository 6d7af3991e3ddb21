"""The motion track: coding and warping."""
