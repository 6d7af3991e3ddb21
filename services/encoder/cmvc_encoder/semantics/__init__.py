"""Semantic extractors, one file each."""
