"""Weights and adapters on this machine: where they are, what they should be, and whether they are whole."""
