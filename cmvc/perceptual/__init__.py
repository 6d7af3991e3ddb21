"""Measures that come nearer to what the eye minds than errors do: LPIPS, DISTS, and how a video flickers.

They judge; nothing that CMVC writes depends on them. No weights are in this repository: ``weights`` fetches them.
"""
