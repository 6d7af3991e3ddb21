"""The openai backend against a real server in another process."""

import json
import logging
import socket
import subprocess
import sys
from base64 import b64encode
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from cmvc.errors import SemanticsError
from cmvc_encoder.semantics.mllm import Question
from cmvc_encoder.semantics.openai import OpenAiMllm

pytest.importorskip("openai")
pytest.importorskip("PIL")

from openai_server import PATIENCE_S, OpenAiServer, openai_server

KEY = "sk-0123456789-secret"
RED, BLUE = (250, 10, 10), (10, 10, 250)


def question(*colours, prompt="What is it?", size=(96, 64), max_tokens=20):
    width, height = size
    images = [np.full((height, width, 3), colour, np.uint8) for colour in colours or (RED,)]
    return Question(images, prompt, max_tokens)


@pytest.fixture(scope="module")
def server():
    with openai_server() as running:
        yield running


@pytest.fixture
def start(server):
    """Return what has the server behave as its arguments say, with counts of its own."""

    def behave(*arguments):
        server.become(*arguments)
        return server

    return behave


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    return path


def mllm(server: OpenAiServer, key_file: Path | None = None, **settings) -> OpenAiMllm:
    return OpenAiMllm(server.endpoint, "tiny", key_file, {name: str(value) for name, value in settings.items()})


def failure(model: OpenAiMllm, *questions) -> str:
    with pytest.raises(SemanticsError) as caught:
        model.ask(questions or [question()])
    return str(caught.value)


# What arrives


def test_answers_come_in_the_order_of_the_questions(start):
    server = start("--echo")
    answers = mllm(server, parallel=3).ask([question(prompt=f"question {i}") for i in range(8)])
    assert [json.loads(each)["prompt"] for each in answers] == [f"question {i}" for i in range(8)]
    assert server.stats()["most_at_once"] <= 3


def test_nothing_is_sent_for_no_questions(start):
    server = start()
    assert mllm(server).ask([]) == []
    assert server.stats()["requests"] == 0


def test_images_arrive_in_order_and_bounded_in_size(start):
    [answer] = mllm(start("--echo"), image_side=64).ask([question(RED, BLUE, RED, size=(640, 360))])
    images = json.loads(answer)["images"]
    assert [each["size"] for each in images] == [[64, 36]] * 3
    means = np.array([each["mean"] for each in images])
    assert np.abs(means - [RED, BLUE, RED]).max() < 6


def test_small_images_are_not_enlarged(start):
    [answer] = mllm(start("--echo")).ask([question(size=(17, 31))])
    assert json.loads(answer)["images"][0]["size"] == [17, 31]


def test_same_question_is_the_same_request(start):
    model = mllm(start("--echo"))
    assert len(set(model.ask([question(RED, BLUE)] * 3))) == 1


def test_request_is_greedy_and_has_no_field_that_small_servers_do_not_know(start):
    [answer] = mllm(start("--echo")).ask([question(max_tokens=33)])
    known = {"model": "tiny", "max_tokens": 33, "temperature": 0, "seed": 0, "n": 1}
    assert json.loads(answer)["parameters"] == known


def test_nothing_of_the_environment_is_sent(start, monkeypatch):
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", f"ambient-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Mine: ambient\nAuthorization: Bearer ambient")
    [answer] = mllm(start("--echo")).ask([question()])
    headers = json.loads(answer)["headers"]
    assert "ambient" not in str(headers)
    assert headers["authorization"] == "Bearer none"
    assert not [name for name in headers if name.startswith("x-stainless") and name != "x-stainless-raw-response"]


def test_key_of_the_file_is_sent(start, key_file):
    assert mllm(start("--require-key", KEY), key_file).ask([question()]) == ["A red square."]


# What is tried again


def test_server_that_is_not_ready_yet_is_asked_again(start):
    server = start("--fail-first", "2")
    assert mllm(server).ask([question()]) == ["A red square."]
    assert server.stats()["statuses"] == {"503": 2, "200": 1}


def test_server_that_never_gets_ready_is_given_up(start):
    server = start("--fail-first", "99")
    message = failure(mllm(server, retries=2))
    assert server.endpoint in message
    assert "503 (loading the model)" in message
    assert server.stats()["requests"] == 3


def test_retry_after_is_honoured(start):
    server = start("--rate-limit", "1")  # a second; without being told, the SDK comes back after half of one
    assert mllm(server, retries=1).ask([question()]) == ["A red square."]
    assert server.stats()["statuses"] == {"429": 1, "200": 1}


@pytest.mark.parametrize("retry_after", ["60", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_wait_beyond_the_questions_time_is_not_begun(start, retry_after):
    server = start("--fail-first", "9", "--retry-after", retry_after)
    assert "answered 503" in failure(mllm(server, timeout_s=5))
    assert server.stats()["requests"] == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_refusal_is_not_tried_again(start, status):
    server = start("--raw", '{"error": {"message": "no"}}', "--status", str(status))
    assert f"answered {status}" in failure(mllm(server))
    assert server.stats()["requests"] == 1


def test_questions_after_a_failure_are_not_sent(start):
    server = start("--raw", "{}", "--status", "400")
    model = mllm(server, parallel=1)
    failure(model, *[question() for _ in range(50)])
    failure(model)
    assert server.stats()["requests"] == 2


# What fails


def test_hanging_server_is_given_up(start):
    message = failure(mllm(start("--hang"), timeout_s=0.3, retries=0))
    assert "no answer within 0.3 s" in message


def test_trickling_server_is_given_up(start):
    message = failure(mllm(start("--trickle"), timeout_s=0.3, retries=0))
    assert "no answer within 0.3 s" in message


def test_waiting_for_the_rate_limit_is_not_held_against_a_question(start):
    model = mllm(start(), requests_per_minute=24, timeout_s=2)
    assert len(model.ask([question(), question()])) == 2


def test_server_that_is_not_there_is_named():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # bound and not listening: refused for certain
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
        message = failure(OpenAiMllm(endpoint, "tiny", None, {"retries": "0"}))
    assert f"cannot reach {endpoint}: " in message
    assert "refused" in message


@pytest.mark.skipif(sys.platform != "linux", reason="what a full queue does to further connections is Linux's")
def test_server_that_does_not_take_the_connection_is_named():
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # fills the queue; further ones get no reply
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        message = failure(OpenAiMllm(endpoint, "tiny", None, {"timeout_s": "0.3", "retries": "0"}))
    assert "it does not respond" in message


def test_server_killed_among_the_questions_fails_them():
    with openai_server("--die-after", "2") as server:
        message = failure(mllm(server, retries=1), *[question() for _ in range(6)])
        assert "cannot reach" in message
        assert server.process.wait(60) == 1


@pytest.mark.parametrize(
    "body",
    ["", "{", "null", "[]", "{}", '"text"', '{"choices": [{}]}', '{"choices": {"0": 1}}', "<html></html>", "1" * 5000,
     '{"choices": [{"message": "text"}]}', "[" * 50_000, 'data: {"choices": []}\n\n'],
)  # fmt: skip
def test_what_is_no_answer_is_said(start, body):
    assert "no answer" in failure(mllm(start("--raw", body)))


def test_answer_without_choices_is_said(start):
    assert "no answer" in failure(mllm(start("--empty")))


@pytest.mark.parametrize("content", ["null", '["text"]', '""'])
def test_model_that_spent_its_tokens_thinking_is_said(start, content):
    body = f'{{"choices": [{{"message": {{"content": {content}}}, "finish_reason": "length"}}]}}'
    assert "said nothing in 20 tokens" in failure(mllm(start("--raw", body)))


def test_answer_that_was_cut_is_an_answer(start):
    server = start("--raw", '{"choices": [{"message": {"content": " A red"}, "finish_reason": "length"}]}')
    assert mllm(server).ask([question()]) == [" A red"]


def test_answer_can_always_be_written_as_utf8(start):
    server = start("--raw", r'{"choices": [{"message": {"content": "a \ud800 b"}}]}')
    [answer] = mllm(server).ask([question()])
    assert answer.encode() == b"a ? b"


@pytest.mark.parametrize(("fault", "said"), [("--endless", "1 MiB"), ("--huge", "1 MiB"), ("--packed", "packed")])
def test_body_is_bounded(start, fault, said):
    server = start(fault)
    assert said in failure(mllm(server))
    assert server.stats()["requests"] == 1


def test_question_that_hangs_does_not_keep_the_process_from_ending(start):
    server = start("--hang")
    code = (
        "import threading, numpy as np\n"
        "from cmvc_encoder.semantics.mllm import Question\n"
        "from cmvc_encoder.semantics.openai import OpenAiMllm\n"
        f"model = OpenAiMllm({server.endpoint!r}, 'tiny', None, {{'timeout_s': '3600'}})\n"
        "ask = lambda: model.ask([Question([np.zeros((8, 8, 3), np.uint8)], '', 1)])\n"
        "threading.Thread(target=ask, daemon=True).start()\n"
        "from urllib.request import urlopen\n"
        f"while b'\"requests\": 1' not in urlopen({server.endpoint.removesuffix('/v1') + '/stats'!r}).read(): pass\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


# Where it goes


def test_redirect_is_not_followed(start):
    server = start("--raw", "", "--status", "307", "--redirect", "/elsewhere")
    assert "answered 307" in failure(mllm(server))
    assert server.stats()["requests"] == 1


def test_server_on_this_machine_is_asked_past_the_proxy(start, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert mllm(start()).ask([question()]) == ["A red square."]


def test_server_elsewhere_is_asked_through_the_proxy(start, monkeypatch):
    proxy = start()
    monkeypatch.setenv("http_proxy", proxy.endpoint.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    model = OpenAiMllm("http://nowhere.invalid/v1", "tiny", None, {"retries": "0"})
    assert model.ask([question()]) == ["A red square."]


# What stays secret


def test_key_and_images_are_in_no_message_and_no_log(start, key_file, caplog):
    caplog.set_level(logging.DEBUG)
    image = b64encode(bytes(range(256)) * 4).decode()
    body = json.dumps({"error": {"message": f"bad key {KEY}\n\x1b[31m for data:image/jpeg;base64,{image} given"}})
    said = [
        failure(mllm(start("--raw", body, "--status", str(status)), key_file, retries=1)) for status in (401, 422, 500)
    ]
    said.append(failure(mllm(start("--require-key", "another"), key_file)))
    said.append(failure(mllm(start("--hang"), key_file, timeout_s=0.2, retries=0)))
    mllm(start(), key_file).ask([question()])
    assert "bad key" not in said[0]  # what is said of a key may hold half of it
    assert "bad key [key] [31m for data:image/jpeg;base64,... given" in said[1]
    everything = "\n".join([*said, *caplog.messages])
    assert KEY not in everything
    assert "/9j/" not in everything  # how a JPEG in base64 begins
    assert image not in everything
    assert all(text.isprintable() for text in said)


# With a real model


def test_real_model_behind_the_server_answers(tmp_path):
    if not find_spec("transformers"):
        pytest.skip("transformers is not installed")
    with openai_server("--model", str(tmp_path), "--tiny") as server:
        once, pair, again = mllm(server).ask([question(RED), question(RED, BLUE), question(RED)])
    assert once == again
    assert once
    assert pair
