"""Generators, one file per profile, behind the interface in ``base``."""
