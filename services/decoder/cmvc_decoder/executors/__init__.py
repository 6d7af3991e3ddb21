"""Where generators run: in this process, or in a Triton server."""
