"""Training of the restorer: pairs from the project's own AV1, the network, its losses, ``cmvc-train-restorer``."""
