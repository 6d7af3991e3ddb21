"""Processes that can be killed: forked from a warm one that has loaded what they need, and confined where need be."""
