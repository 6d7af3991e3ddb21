"""CMVC over HTTP, and the studio: a page that encodes, plays and compares. A client of a gateway.

From below: ``growing`` and ``events`` are what one writes and many follow; ``store`` keeps results; ``fragments`` reads
the MP4 that passes through; ``studio`` holds it all; ``encoding``, ``keeping`` and ``decoding`` do the work;
``answers`` and ``guard`` say how it ended; ``app`` has the routes, ``connection`` cuts off who dawdles, ``service`` is
the place in the house.
"""
