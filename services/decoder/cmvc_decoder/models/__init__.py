"""Weights on disk: what each profile needs, where it comes from, and whether it is there and whole.

Only ``cmvc models pull`` ever downloads. Nothing here imports torch, but for ``convert`` when it works.
"""
