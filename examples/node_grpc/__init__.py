"""CMVC from Node; see ``transcode.js``."""
