"""The scene grammar: text that a renderer can draw."""
