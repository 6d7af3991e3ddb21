"""A real OpenAI-compatible server in a process of its own: ``python -m tests.openai_server --model FOLDER``.

It decodes the images that it is sent and has a real model answer; it can also fail in the ways that servers do.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
from PIL import Image

from cmvc.errors import CmvcError

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0
_PREFIX = "data:image/jpeg;base64,"
_PIECE = b" " * 65536


class BadRequestError(Exception):
    """The request is not what the API takes."""


class OpenAiServer:
    """The server with a free port on the loopback, for tests.

    Attributes:
        endpoint: its base URL.
    """

    def __init__(self, *arguments: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.openai_server", f"--port={port}", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
        line = self.process.stdout.readline()
        assert line, "the server did not start"
        self.endpoint: str = json.loads(line)["endpoint"]

    def stats(self) -> dict:
        """Return the counts of ``requests``, ``answers``, ``most_at_once`` and of each of ``statuses``."""
        with urlopen(self.endpoint.removesuffix("/v1") + "/stats", timeout=PATIENCE_S) as response:
            return json.load(response)

    def become(self, *arguments: str) -> None:
        """Count anew and behave as if it had been started with these."""
        request = Request(self.endpoint.removesuffix("/v1") + "/become", json.dumps(arguments).encode())
        urlopen(request, timeout=PATIENCE_S).close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


@contextmanager
def openai_server(*arguments: str) -> Iterator[OpenAiServer]:
    """Yield a server that takes requests; it ends with the block."""
    server = OpenAiServer(*arguments)
    try:
        yield server
    finally:
        server.stop()


class State:
    """What the handlers of all connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.lock = threading.Lock()
        self.answered = threading.Condition(self.lock)
        self.requests = 0
        self.answers = 0
        self.at_once = 0
        self.most_at_once = 0
        self.statuses: Counter[int] = Counter()
        self.open_again: float | None = None  # when a rate limit ends
        self.answer = make_answer(options)

    def stats(self) -> dict:
        with self.lock:
            return {
                "requests": self.requests,
                "answers": self.answers,
                "most_at_once": self.most_at_once,
                "statuses": {str(status): count for status, count in self.statuses.items()},
            }


def make_answer(options: argparse.Namespace) -> Callable[[dict, list[bytes], str], str]:
    """Return what makes the answer from the request, its JPEG images and its prompt."""
    if options.echo:
        return echo
    if not options.model:
        return lambda request, images, prompt: options.answer
    # Those that answer without a model start faster without these.
    from cmvc_encoder.semantics.mllm import Question  # noqa: PLC0415
    from cmvc_encoder.semantics.transformers import TransformersMllm  # noqa: PLC0415

    if options.tiny:
        from tests.tiny_models import smolvlm  # noqa: PLC0415

        smolvlm.write(Path(options.model))
    mllm, turn = TransformersMllm(options.model, {"device": "cpu"}), threading.Lock()
    mllm.ask([Question([np.zeros((32, 32, 3), np.uint8)], "Are you there?", 1)])  # loads it

    def ask(request: dict, images: list[bytes], prompt: str) -> str:
        pictures = [np.asarray(Image.open(BytesIO(each)).convert("RGB")) for each in images]
        with turn:
            return mllm.ask([Question(pictures, prompt, request["max_tokens"])])[0]

    return ask


def echo(request: dict, images: list[bytes], prompt: str) -> str:
    """Return what has arrived, as JSON."""
    pictures = [np.asarray(Image.open(BytesIO(each))) for each in images]
    return json.dumps(
        {
            "images": [
                {"size": [p.shape[1], p.shape[0]], "mean": p.mean((0, 1)).round().tolist(), "sha256": sha256(jpeg)}
                for p, jpeg in zip(pictures, images, strict=True)
            ],
            "prompt": prompt,
            "parameters": {name: value for name, value in request.items() if name not in {"messages", "headers"}},
            "headers": request["headers"],
        }
    )


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_message(request: dict) -> tuple[list[bytes], str]:
    """Return the JPEG images and the prompt of the one message, the images before it."""
    [message] = request["messages"]
    *parts, last = message["content"]
    if message["role"] != "user" or last["type"] != "text" or any(each["type"] != "image_url" for each in parts):
        raise BadRequestError("one message of the user is taken: images, then a text")
    urls = [each["image_url"]["url"] for each in parts]
    if not all(url.startswith(_PREFIX) for url in urls):
        raise BadRequestError(f"an image must be a URL of {_PREFIX}")
    images = [base64.b64decode(url.removeprefix(_PREFIX), validate=True) for url in urls]
    for each in images:
        with Image.open(BytesIO(each), formats=["JPEG"]) as image:
            image.load()
    return images, last["text"]


def read_request(body: bytes) -> dict:
    request = json.loads(body)
    if not isinstance(request["model"], str) or request.get("n", 1) != 1 or request.get("stream"):
        raise BadRequestError("a model is needed, n of 1 and no stream")
    if not isinstance(request["max_tokens"], int):
        raise BadRequestError("max_tokens is needed")
    return request


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together
    server: "Server"
    state: State

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.state = self.server.state
        if self.path == "/stats":
            self.send(HTTPStatus.OK, self.state.stats())
        elif self.path == "/v1/models":
            model = {"id": self.state.options.name, "object": "model", "owned_by": "tests"}
            self.send(HTTPStatus.OK, {"object": "list", "data": [model]})
        else:
            self.fail(HTTPStatus.NOT_FOUND, "there is no such path")

    def do_POST(self) -> None:
        state = self.state = self.server.state
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/become":
            self.server.state = State(parse(json.loads(body)))
            self.send(HTTPStatus.OK, {})
            return
        with state.lock:
            state.requests += 1
            number = state.requests
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        try:
            if urlsplit(self.path).path != "/v1/chat/completions":
                self.fail(HTTPStatus.NOT_FOUND, "there is no such path")
            elif not self.is_refused(number) and not self.has_fault():
                self.complete(body)
        finally:
            with state.lock:
                state.at_once -= 1

    def is_refused(self, number: int) -> bool:
        """Refuse the request where an option says so."""
        options, state = self.state.options, self.state
        if options.die_after is not None and number > options.die_after:
            with state.answered:
                state.answered.wait_for(lambda: state.answers >= options.die_after)
            os._exit(1)
        if options.require_key and self.headers["Authorization"] != f"Bearer {options.require_key}":
            self.fail(HTTPStatus.UNAUTHORIZED, f"Incorrect API key provided: {self.headers['Authorization']}")
        elif number <= options.fail_first:
            self.fail(HTTPStatus.SERVICE_UNAVAILABLE, "loading the model", {"Retry-After": options.retry_after})
        elif options.rate_limit and self.is_too_early(options.rate_limit):
            self.fail(HTTPStatus.TOO_MANY_REQUESTS, "slow down", {"Retry-After": f"{options.rate_limit:g}"})
        else:
            return False
        return True

    def is_too_early(self, seconds: float) -> bool:
        """Whether the time that the first refused request was told has not passed."""
        state = self.state
        with state.lock:
            if state.open_again is None:
                state.open_again = time.monotonic() + seconds
            return time.monotonic() < state.open_again

    def has_fault(self) -> bool:
        """Answer wrongly where an option says so."""
        options = self.state.options
        if options.hang:
            threading.Event().wait()
        elif options.raw is not None:
            self.send_bytes(options.status, options.raw.encode(), {"Location": options.redirect})
        elif options.empty:
            self.send(HTTPStatus.OK, {"object": "chat.completion", "choices": []})
        elif options.packed:
            self.send_bytes(HTTPStatus.OK, gzip.compress(bytes(1 << 24)), {"Content-Encoding": "gzip"})
        elif options.endless or options.trickle:
            self.send_without_end(*((_PIECE, 0.0) if options.endless else (b" ", 0.05)))
        elif options.huge:
            self.start(HTTPStatus.OK, {"Content-Length": str(1 << 40)})
            self.wfile.write(_PIECE)
        else:
            return False
        return True

    def send_without_end(self, piece: bytes, pause_s: float) -> None:
        self.start(HTTPStatus.OK, {"Transfer-Encoding": "chunked"})
        chunk = b"%x\r\n%s\r\n" % (len(piece), piece)
        while True:
            self.wfile.write(chunk)
            self.wfile.flush()
            time.sleep(pause_s)

    def complete(self, body: bytes) -> None:
        state = self.state
        try:
            request = {**read_request(body), "headers": {k.lower(): v for k, v in self.headers.items()}}
            images, prompt = read_message(request)
        except (BadRequestError, ValueError, KeyError, TypeError, OSError) as error:
            self.fail(HTTPStatus.BAD_REQUEST, f"{type(error).__name__}: {error}")
            return
        try:
            text = state.answer(request, images, prompt)
        except CmvcError as error:
            self.fail(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.send(
            HTTPStatus.OK,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": state.options.name,
                "choices": [choice],
            },
        )
        with state.answered:
            state.answers += 1
            state.answered.notify_all()

    def fail(self, status: HTTPStatus, message: str, headers: dict[str, str] | None = None) -> None:
        self.send(status, {"error": {"message": message, "type": "error", "code": int(status)}}, headers)

    def send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(status, json.dumps(value).encode(), headers)

    def send_bytes(self, status: int, body: bytes, headers: dict[str, str | None] | None = None) -> None:
        self.start(status, {"Content-Length": str(len(body)), "Content-Type": "application/json", **(headers or {})})
        self.wfile.write(body)
        self.wfile.flush()

    def start(self, status: int, headers: dict[str, str | None]) -> None:
        with self.state.lock:
            self.state.statuses[int(status)] += self.command == "POST"
        self.send_response(status)
        self.send_header("Set-Cookie", "\xc9=1")  # a client that takes it cannot send it back
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()


class Server(ThreadingHTTPServer):
    """Serves until it is killed; what clients hang up on is no error."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Handler)
        self.state = State(options)

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 for a free one")
    parser.add_argument("--name", default="tiny", help="of the model")
    parser.add_argument("--model", default="", help="folder of the model that answers")
    parser.add_argument("--tiny", action="store_true", help="write a tiny untrained model into the folder first")
    parser.add_argument("--answer", default="A red square.", help="what is answered without a model")
    parser.add_argument("--echo", action="store_true", help="answer with what has arrived")
    parser.add_argument("--require-key", help="answer 401 to any other")
    parser.add_argument("--fail-first", type=int, default=0, metavar="N", help="answer 503 to N requests")
    parser.add_argument("--retry-after", default="0.1", help="of these")
    parser.add_argument("--rate-limit", type=float, metavar="SECONDS", help="answer 429 until then")
    parser.add_argument("--die-after", type=int, metavar="N", help="exit at once when more than N are asked")
    parser.add_argument("--hang", action="store_true", help="never answer")
    parser.add_argument("--empty", action="store_true", help="answer without a choice")
    parser.add_argument("--endless", action="store_true", help="answer without end")
    parser.add_argument("--trickle", action="store_true", help="answer without end, slowly")
    parser.add_argument("--huge", action="store_true", help="announce a terabyte")
    parser.add_argument("--packed", action="store_true", help="answer with 16 MiB packed into a few")
    parser.add_argument("--raw", help="answer with this body")
    parser.add_argument("--status", type=int, default=200, help="of that")
    parser.add_argument("--redirect", help="and its Location")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    running = Server(parse())
    print(json.dumps({"endpoint": f"http://127.0.0.1:{running.server_port}/v1"}), flush=True)
    running.serve_forever()
