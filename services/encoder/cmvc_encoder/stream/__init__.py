"""From coded windows to the bytes of a stream."""
