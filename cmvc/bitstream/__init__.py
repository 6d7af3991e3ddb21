"""The stream format: write, read, inspect."""
