"""The CMVC encoder."""
