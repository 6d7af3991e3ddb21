"""What both ends of a wire need: channels, statuses, chunks, security and traces."""
