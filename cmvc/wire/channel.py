"""Channels to CMVC servers: one set of options for clients and gateways."""

import grpc

from cmvc.limits import DEFAULT_LIMITS
from cmvc.wire.security import ChannelSecurity

MESSAGE_BYTES = 2 * DEFAULT_LIMITS.segment_bytes + (1 << 20)  # a segment, its neighbour's anchor and what is around

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    # A decoder that came back is used again within a second, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A peer that vanished without a word (cable, power) is noticed while a call waits for it.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a lottery
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),  # a server that had no time reads several pings at once
    ("grpc.keepalive_permit_without_calls", 1),
)


def open_channel(target: str, security: ChannelSecurity) -> grpc.Channel:
    """Return a channel to ``HOST:PORT``. It connects when first used."""
    credentials = security.credentials()
    if credentials:
        return grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
    return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)


def open_aio_channel(target: str, security: ChannelSecurity) -> grpc.aio.Channel:
    """Return an asyncio channel to ``HOST:PORT``. It connects when first used."""
    credentials = security.credentials()
    if credentials:
        return grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
