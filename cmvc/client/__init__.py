"""The SDK: ``Client`` and ``AsyncClient``.

Both work against a server (gateway, encoder or decoder alike) or, without a target, in this process with the
services that are installed. Memory stays bounded by a few chunks, whatever the length.

    with Client("gateway.example:50051") as client:
        client.encode("in.mp4", "out.cmvc", encode_config(bitrate="8k"))
        client.decode("out.cmvc", "back.mp4")

A call goes the same way whichever client makes it: ``sources`` reads what the caller gives, ``local`` or ``remote``
carries it, ``call`` holds the two together and says how it ended, and ``blocking`` or ``aio`` hands out what comes.
"""

from cmvc.client.abilities import Capabilities, Health
from cmvc.client.aio import AsyncClient, AsyncTransfer
from cmvc.client.blocking import Client, Transfer
from cmvc.client.call import ProgressCallback
from cmvc.client.destinations import Destination
from cmvc.client.retry import NO_RETRY, Retry
from cmvc.client.sources import AsyncSource, Source

__all__ = [
    "NO_RETRY",
    "AsyncClient",
    "AsyncSource",
    "AsyncTransfer",
    "Capabilities",
    "Client",
    "Destination",
    "Health",
    "ProgressCallback",
    "Retry",
    "Source",
    "Transfer",
]
