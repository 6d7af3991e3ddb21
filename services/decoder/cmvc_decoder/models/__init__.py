"""``cmvc models``: weights from where they are published into the store, converted where they have to be.

Only ``cmvc models pull`` ever downloads. Nothing here imports torch, but for ``convert`` when it works.
"""
