"""The CMVC gateway."""
