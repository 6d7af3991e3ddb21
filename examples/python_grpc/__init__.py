"""CMVC from Python without the SDK; see ``transcode.py``."""
