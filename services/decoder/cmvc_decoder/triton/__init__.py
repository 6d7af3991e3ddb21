"""Profiles in a Triton server: what runs in it, what asks it, and what keeps it up."""
