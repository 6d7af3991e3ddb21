"""The web service and callers who dawdle: half requests, bodies that stop, connections without a word."""

import socket
import time
from contextlib import suppress

import pytest
from media_files import moving_frames, write_video
from servers import servers

ENCODE = b"POST /v1/encode?mode=coded&bitrate=24k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


@pytest.fixture(scope="module")
def web():
    with servers() as start:
        gateway = start("gateway", "--encoder", start("encoder").address)
        yield start("web", "--gateway", gateway.address, "--idle", "1", "--web-requests", "1")


def connect(web):
    host, port = web.address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
    connection.settimeout(60)  # only a connection that is never cut meets it
    return connection


def to_the_end(connection):
    """Return what comes until the connection is closed or cut."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


HALVES = {"nothing": b"", "half a line": b"GET /hea", "half a head": b"GET /healthz HTTP/1.1\r\nHost: x\r\n"}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_half_a_request_is_cut(web, sent):
    with connect(web) as connection:
        connection.sendall(sent)
        assert to_the_end(connection) == b""


def test_a_head_that_drips_in_is_cut(web):
    with connect(web) as connection, suppress(ConnectionResetError, BrokenPipeError):
        for _ in range(600):  # a minute
            connection.sendall(b"X")
            time.sleep(0.1)
        pytest.fail("it was never cut")


def test_the_second_request_of_a_connection_is_bounded_as_the_first(web):
    with connect(web) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(1 << 16)
        connection.sendall(b"GET /hea")
        assert to_the_end(connection) == b""


def test_a_body_that_stops_loses_its_place(web):
    video = write_video(moving_frames(8))
    with connect(web) as connection:
        connection.sendall(ENCODE % len(video) + video[:100])
        answer = b""
        while b'"IDLE"' not in answer:
            part = connection.recv(1 << 16)
            assert part, answer
            answer += part
    with connect(web) as connection:  # there is one place, and it is free
        connection.sendall(ENCODE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % len(video) + video)
        assert b'"done"' in to_the_end(connection)
