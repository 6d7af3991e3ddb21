"""``cmvc-train-interpolation``: tunes an adapter (LoRA) that has a profile fill the frames between two anchors.

Videos become clips (``videos``), clips become what the model is trained on (``samples``, by the profile's ``task``),
the ``trainer`` tunes, and ``adapter`` writes what a decoder loads. A profile that can be trained is one file and
one line in ``registry``.
"""
