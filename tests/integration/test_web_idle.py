"""The web service and callers who dawdle: half requests, bodies that stop, connections without a word."""

import socket
import time
from contextlib import suppress

import pytest
from media_files import moving_frames, write_video
from servers import servers
from streams import stream

ENCODE = b"POST /v1/encode?mode=coded&bitrate=24k HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
DECODE, KEEP = (ENCODE.replace(b"/v1/encode?mode=coded&bitrate=24k", each) for each in (b"/v1/decode", b"/v1/streams"))


@pytest.fixture(scope="module")
def web():
    with servers() as start:
        gateway = start("gateway", "--encoder", start("encoder").address)
        yield start("web", "--gateway", gateway.address, "--idle", "2", "--web-requests", "1")


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


@pytest.mark.parametrize(
    ("request_head", "bytes_a_second"), [(ENCODE, 100), (DECODE, 5), (KEEP, 5)], ids=["encode", "decode", "keep"]
)
def test_a_body_that_drips_in_loses_its_place(web, request_head, bytes_a_second):
    answer = b""
    with connect(web) as connection, suppress(ConnectionResetError, BrokenPipeError):
        connection.setblocking(False)
        connection.sendall(request_head % 100_000)
        for each in stream(segments=1)[: 60 * bytes_a_second]:  # a minute, in which it is never silent for two seconds
            connection.sendall(bytes([each]))
            time.sleep(1 / bytes_a_second)
            with suppress(BlockingIOError):
                answer += connection.recv(1 << 16)
            if b"what_to_do" in answer:
                break
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b'"reason":"IDLE"' in answer
    assert b"a second; send it faster" in answer
    with connect(web) as connection:  # there is one place, and it is free
        connection.sendall(DECODE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") % 1 + b"x")
        assert b"OVERLOADED" not in to_the_end(connection)
