"""What stays within the packer."""


class NotPackableError(Exception):
    """AV1 data is not what the packed form can hold: it is to be stored as it is."""
