"""CMVC: video sent as text, images and tiny videos, made again by a video generator."""

__version__ = "0.1.0"
