import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvc.errors import InvalidSettingError
from cmvc_encoder.semantics.endpoint import read_endpoint
from cmvc_encoder.semantics.openai import SETTINGS, OpenAiMllm

httpx2 = pytest.importorskip("httpx2")
pytest.importorskip("openai")

from cmvc_encoder.semantics.request_guard import RateLimit, RequestGuard, limit_of  # noqa: E402

KEY = "sk-0123456789-secret"
HERE = "http://127.0.0.1:8000/v1"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"  {KEY}\n")
    path.chmod(0o600)
    return path


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self):
        self.now = 0.0

    def time(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


# Endpoint


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (HERE, HERE),
        ("HTTP://LocalHost:11434/v1/", "http://localhost:11434/v1"),
        ("https://models.example.org/gateway/openai/v1", "https://models.example.org/gateway/openai/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://vision_model:8000", "http://vision_model:8000"),
    ],
)
def test_path_of_an_endpoint_is_kept(url, kept):
    assert read_endpoint(url, None).url == kept


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000", "ftp://host/v1", "http://", "http:///v1", "http://host:99999/v1", "http://host:0/v1",
        "http://ho st/v1", "http://host/v1?key=1", "http://host/v1#a", "http://[::1/v1", "http://[::1%25eth0]/v1",
        "http://host/a b", "unix:///run/model.sock", "http://-/v1", "http://host/v1\r\nX: y",
    ],
)  # fmt: skip
def test_endpoint_that_cannot_be_asked_is_refused(url):
    with pytest.raises(InvalidSettingError, match="endpoint"):
        read_endpoint(url, None)


def test_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(InvalidSettingError, match="password") as caught:
        read_endpoint("https://user:hunter2@example.org/v1", None)
    assert "hunter2" not in str(caught.value)


@given(st.one_of(st.text(), st.text().map("http://".__add__), st.from_regex(r"https?://[\[\]a-z0-9.:@%/?#-]*")))
def test_whatever_is_taken_is_a_url_to_the_http_client_too(url):
    try:
        endpoint = read_endpoint(url, None)
    except InvalidSettingError:
        return
    assert str(httpx2.URL(endpoint.url).host) == endpoint.host.strip("[]")


# Key


def test_key_is_read_without_blanks_and_stays_out_of_the_repr(key_file):
    endpoint = read_endpoint(HERE, key_file)
    assert endpoint.key == KEY
    assert KEY not in repr(endpoint)


def test_key_of_the_environment_is_left_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert read_endpoint(HERE, None).key == ""


@pytest.mark.parametrize("url", ["http://example.org/v1", "http://10.0.0.7:8000/v1", "http://localhost.example.org/v1"])
def test_key_in_the_clear_is_refused(url, key_file):
    with pytest.raises(InvalidSettingError, match="in the clear") as caught:
        read_endpoint(url, key_file)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", [HERE, "http://localhost/v1", "http://[::1]/v1", "https://example.org/v1"])
def test_key_travels_on_the_loopback_and_encrypted(url, key_file):
    assert read_endpoint(url, key_file).key == KEY


@pytest.mark.parametrize("content", [b"", b" \n", b"two keys", b"a\nb", "schlüssel".encode(), b"k" * 5000])
def test_file_without_a_key_is_refused_without_its_content(content, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(InvalidSettingError, match="holds no key") as caught:
        read_endpoint(HERE, path)
    assert not content.strip() or content.decode() not in str(caught.value)


def test_missing_key_file_is_named(tmp_path):
    with pytest.raises(InvalidSettingError, match="nowhere"):
        read_endpoint(HERE, tmp_path / "nowhere")


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_key_that_others_can_read_is_warned_of_once(key_file, caplog):
    read_endpoint(HERE, key_file)
    assert not caplog.messages
    key_file.chmod(0o644)
    for _ in range(3):
        read_endpoint(HERE, key_file)
    [warning] = caplog.messages
    assert "chmod 600" in warning
    assert KEY not in warning


# Settings


@pytest.mark.parametrize(
    "setting",
    [
        {"timeout_s": "0"}, {"timeout_s": "nan"}, {"timeout_s": "soon"}, {"retries": "-1"}, {"retries": "1.5"},
        {"parallel": "0"}, {"image_side": "9" * 5000}, {"requests_per_minute": "-1"},
    ],
)  # fmt: skip
def test_setting_out_of_range_is_refused_with_the_range(setting):
    with pytest.raises(InvalidSettingError, match=f"{next(iter(setting))} is .* from .* to"):
        OpenAiMllm(HERE, "tiny", None, setting)


def test_unknown_setting_is_refused_with_the_known_ones():
    with pytest.raises(InvalidSettingError, match="timeout_s, retries, requests_per_minute, parallel, image_side"):
        OpenAiMllm(HERE, "tiny", None, {"temperature": "1"})


def test_every_setting_is_taken_at_its_bounds():
    for name, number in SETTINGS.items():
        OpenAiMllm(HERE, "tiny", None, {name: f"{number.least:g}"})
        OpenAiMllm(HERE, "tiny", None, {name: f"{number.most:g}"})


# Rate limit


def test_requests_are_spaced_from_the_second_on():
    clock = Clock()
    limit = RateLimit(clock.time, clock.sleep)
    assert [limit.wait(30) for _ in range(4)] == [0, 2, 2, 2]


def test_time_that_has_passed_is_not_waited_for_again_nor_saved_up():
    clock = Clock()
    limit = RateLimit(clock.time, clock.sleep)
    limit.wait(60)
    clock.now += 100
    assert [limit.wait(60) for _ in range(3)] == [0, 1, 1]


def test_requests_that_wait_at_once_get_a_turn_each():
    clock = Clock()
    turns = []
    limit = RateLimit(clock.time, turns.append)  # time stands still, as it does for those that come together
    for _ in range(4):
        limit.wait(60)
    assert turns == [1, 2, 3]


def test_streams_share_the_limit_of_an_endpoint():
    assert limit_of(HERE) is limit_of(HERE)
    assert limit_of(HERE) is not limit_of("http://127.0.0.1:8001/v1")


def test_every_request_waits_its_turn_retries_too():
    clock = Clock()
    limit = RateLimit(clock.time, clock.sleep)
    streams = [RequestGuard(HERE, KEY, limit, timeout_s=30, requests_per_minute=6) for _ in range(2)]
    for stream in streams:
        stream.start()
        for _ in range(3):
            stream.on_request(httpx2.Request("POST", HERE))
    assert clock.now == 50


def test_no_limit_waits_for_nothing():
    clock = Clock()
    stream = RequestGuard(HERE, KEY, RateLimit(clock.time, clock.sleep), timeout_s=30, requests_per_minute=0)
    stream.start()
    for _ in range(3):
        stream.on_request(httpx2.Request("POST", HERE))
    assert clock.now == 0


# Libraries


@pytest.mark.parametrize("library", ["openai", "httpx2", "PIL"])
def test_missing_library_is_said_with_what_to_run(library):
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from cmvc.errors import MissingServiceError\n"
        "from cmvc_encoder.semantics.openai import OpenAiMllm\n"
        f"try: OpenAiMllm({HERE!r}, 'tiny', None, {{}})\n"
        "except MissingServiceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"needs {library}" in done.stdout
    assert "./services/encoder[openai]" in done.stdout


def test_nothing_is_sent_or_logged_before_the_first_question(caplog):
    caplog.set_level(logging.DEBUG)
    OpenAiMllm("http://127.0.0.1:9/v1", "tiny", None, {})
    assert not caplog.messages
