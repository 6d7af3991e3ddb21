"""Channels to CMVC servers: one set of options for clients and gateways."""

from typing import Any

import grpc

from cmvc.addresses import is_near
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
    # Calls go on; the next ones come over a new connection, and with it, perhaps, to another replica.
    ("grpc.max_connection_age_ms", 600_000),
    # Whoever connects and says nothing is shown out.
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
)


def open_channel(target: str, security: ChannelSecurity, server_name: str = "") -> grpc.Channel:
    """Return a channel to ``target`` (see ``cmvc.addresses``). It connects when first used.

    Where ``server_name`` is given the server's certificate has to be for that name.
    """
    options = _options(target, server_name)
    credentials = security.credentials()
    if credentials:
        return grpc.secure_channel(target, credentials, options=options)
    return grpc.insecure_channel(target, options=options)


def open_aio_channel(target: str, security: ChannelSecurity, server_name: str = "") -> grpc.aio.Channel:
    """Return an asyncio channel; see ``open_channel``."""
    options = _options(target, server_name)
    credentials = security.credentials()
    if credentials:
        return grpc.aio.secure_channel(target, credentials, options=options)
    return grpc.aio.insecure_channel(target, options=options)


def _options(target: str, server_name: str) -> tuple[tuple[str, Any], ...]:
    options: tuple[tuple[str, Any], ...] = CHANNEL_OPTIONS
    if is_near(target):
        options = (*options, ("grpc.enable_http_proxy", 0))
    if server_name:
        options = (*options, ("grpc.ssl_target_name_override", server_name))
    return options
