"""``make bench-rd``: bits and quality of CMVC beside conventional codecs, clip by clip.

Every codec is given the same pictures: the clip as CMVC's reader sees it, written once as Y4M (``sources``). A clip is
coded at five sizes over the quantisers (``baselines``), or at falling bit rates (``ours``); ``elementary`` counts the
bytes, ``measure`` compares with the pictures that went in, ``cache`` keeps what was made. ``hull`` turns the points of
a clip into one curve per side and compares two curves; ``compare``, ``report``, ``plots`` and ``pictures`` show it.
"""
