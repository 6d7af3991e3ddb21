"""Generator profiles as data: what can be said of one without running it, each fact once.

Encoder, decoder, downloads, the Triton model repository and the tests of what is deployed read them here. One file per
profile; nothing here needs more than the standard library and the stubs.
"""
