"""The CMVC decoder, room by room.

Each looks only into those above it, and ``models`` and ``training`` into none that serves.

| room | what |
|---|---|
| ``generator`` | what a generator is given and gives back |
| ``options`` | what whoever runs a decoder decides |
| ``conditions``, ``upscale`` | a segment's bytes as what a generator may know; CODED, which needs no model |
| ``weights`` | weights and adapters on disk |
| ``speed`` | what makes a loaded model faster |
| ``diffusion`` | what the profiles with models share: grid, windows, colour, settings |
| ``generators`` | one file per profile |
| ``executors`` | who runs generators: this process, or Triton |
| ``pipeline``, ``capabilities`` | stream in, records out; what can be done |
| ``recent`` | who has segments decoded here at the moment |
| ``memory`` | what segments in work may hold together |
| ``triton`` | what runs in Triton, what asks it, what keeps it up, and ``cmvc triton`` |
| ``findings`` | what ``cmvc doctor`` finds out |
| ``servicer``, ``service`` | the gRPC service, and the way in for others |
| ``models`` | downloads and conversions: ``cmvc models`` |
| ``training`` | ``cmvc-train-interpolation``, ``cmvc-train-restorer`` |
"""
