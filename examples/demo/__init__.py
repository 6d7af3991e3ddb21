"""The demo: a video through a gateway, an encoder and two decoders on this machine, in every mode."""
