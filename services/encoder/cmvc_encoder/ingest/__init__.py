"""From a source to windows: what is read, and where it is cut."""
