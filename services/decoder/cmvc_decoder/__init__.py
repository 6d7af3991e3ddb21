"""The CMVC decoder."""
