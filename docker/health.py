"""Asks a CMVC server how it is, over ``grpc.health.v1``; the health check of the images.

Exits with 0 where the service is SERVING. With ``--live`` any answer will do: the server's event loop gave it, whatever
its models and backends do. It stands outside ``cmvc`` because it is started often and has to be quick.
"""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

# It knows no such service, or has as many calls as it takes: its event loop said so.
ANSWERS = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED)
SERVING = health_pb2.HealthCheckResponse.SERVING


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description="Ask a CMVC server how it is.")
    parser.add_argument("--address", default="127.0.0.1:50052", metavar="HOST:PORT")
    parser.add_argument("--service", default="", help="such as cmvc.v1.VideoDecoder; by default all in all")
    parser.add_argument("--live", action="store_true", help="an answer is enough, whatever it says")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS")
    parser.add_argument("--tls-ca", type=Path, help="PEM file of the server's authority; turns TLS on")
    parser.add_argument("--tls-cert", type=Path, help="PEM file of a client's certificate")
    parser.add_argument("--tls-key", type=Path, help="PEM file of its key")
    parser.add_argument("--server-name", help="name in the server's certificate")
    return parser.parse_args(arguments)


def connect(options: argparse.Namespace) -> grpc.Channel:
    """Return a channel to the server.

    Raises:
        OSError: a certificate cannot be read.
    """
    straight = (("grpc.enable_http_proxy", 0),)  # the server is in the same container
    if not options.tls_ca:
        return grpc.insecure_channel(options.address, straight)
    key, certificate = (path.read_bytes() if path else None for path in (options.tls_key, options.tls_cert))
    credentials = grpc.ssl_channel_credentials(options.tls_ca.read_bytes(), key, certificate)
    name = (("grpc.ssl_target_name_override", options.server_name),) if options.server_name else ()
    return grpc.secure_channel(options.address, credentials, (*straight, *name))


def main(arguments: list[str]) -> int:
    """Ask once and return the exit code."""
    options = parse(arguments)
    with connect(options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=options.service), timeout=options.timeout)
        except grpc.RpcError as error:
            sys.stderr.write(f"{options.address}: {error.code().name}: {error.details()}\n")
            return 0 if options.live and error.code() in ANSWERS else 1
    if options.live or answer.status == SERVING:
        return 0
    sys.stderr.write(f"{options.address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
