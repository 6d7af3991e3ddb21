"""The restorer of VT2V: a small network that corrects decoded pictures after they were scaled to the wanted size.

Encoder and decoder share it, because ``auto`` has to know what would be seen. Its model card is README.md.
"""
