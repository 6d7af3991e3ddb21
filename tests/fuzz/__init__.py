"""Hostile bytes for everything that reads bytes: targets, mutators that keep checksums whole, and what was found.

``make fuzz TARGET=stream`` goes on by coverage for as long as it is let; ``test_corpus.py`` replays ``corpus``.
"""
