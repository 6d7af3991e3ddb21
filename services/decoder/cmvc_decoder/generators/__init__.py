"""Generators, one file per profile, behind the interface in ``cmvc_decoder.generator``."""
