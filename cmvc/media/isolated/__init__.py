"""Media read in a process of its own, which can do nothing else and can be killed.

``open_isolated`` is ``open_video`` for services: FFmpeg's parsers and decoders are a million lines of C that strangers
choose the input of. What they can spoil here is one call.
"""
