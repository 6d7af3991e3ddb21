"""The web service before real servers: what a script gets from it."""

import http.client
import io
import json
import re
import shutil
import socket
import subprocess
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import av
import pytest
import streams
from media_files import moving_frames, write_video
from servers import CMVC, Server, servers, until

from benchmarks.viewers import Arrival, stalls, watch_all
from cmvc.bitstream.inspect import inspect
from cmvc.client import Client

TOKEN = "correct-horse"


class Web:
    """What talks to one web service."""

    def __init__(self, server, token=""):
        (line,) = [each for each in server.lines if "studio on" in each]
        self.server = server
        self.url = re.search(r"studio on (\S+)/", line)[1]
        self.address = self.url.removeprefix("http://")
        self.token = token

    def ask(self, path, data=None, method=None, **headers):
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return urlopen(Request(self.url + path, data, headers, method=method))

    def refused(self, path, data=None, **headers):
        with pytest.raises(HTTPError) as raised:
            self.ask(path, data, **headers)
        return raised.value.code, json.load(raised.value)["error"]

    def events(self, path, data):
        with self.ask(path, data) as response:
            return [json.loads(line) for line in response]


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with servers() as start:
        yield Web(
            start(
                "all",
                "--web",
                "127.0.0.1:0",
                "--store",
                str(folder),
                "--upload-mib",
                "1",
                "--cors",
                "https://a.example",
            )
        )


@pytest.fixture(scope="module")
def video():
    return write_video(moving_frames(60, 96, 64), container="mp4", codec="libx264", options={"crf": "12"})


@pytest.fixture(scope="module")
def result(web, video):
    events = web.events("/v1/encode?mode=coded&bitrate=24k&effort=fast&name=my%20clip.mp4&audio=none", video)
    assert events[-1]["event"] == "done", events
    return events


def test_the_page_is_there(web):
    with web.ask("/") as response:
        assert response.headers["Content-Type"].startswith("text/html")
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert b"CMVC" in response.read()


@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no Chromium; `make test-web` installs it")
def test_a_browser_runs_the_page(web, tmp_path):
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    command = ["chromium", *options, f"--user-data-dir={tmp_path}", "--virtual-time-budget=3000", "--dump-dom", web.url]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.count('<div class="tt2v">') == 1  # written by its script
    assert not [line for line in shown.stderr.splitlines() if "CONSOLE" in line and "[DOM]" not in line]


def test_an_encode_tells_what_happens_and_keeps_the_stream(web, result):
    kinds = [each["event"] for each in result]
    assert [kind for kind in kinds if kind != "progress"][:2] == ["accepted", "header"]
    segments = [each for each in result if each["event"] == "segment"]
    assert sum(each["frames"] for each in segments) == result[-1]["frames"] == 60
    stream = web.ask(f"/v1/streams/{result[0]['id']}/stream.cmvc")
    assert "my-clip.cmvc" in stream.headers["Content-Disposition"]
    data = stream.read()
    assert len(data) == result[-1]["bytes"]
    about = json.load(web.ask(f"/v1/streams/{result[0]['id']}"))
    said = inspect(io.BytesIO(data))
    assert {key: about[key] for key in ("header", "segments", "totals")} == {
        key: said[key] for key in ("header", "segments", "totals")
    }
    assert (about["modes"], about["settings"]["mode"]) == (["coded"], "coded")


def test_a_stream_plays_as_it_decodes_everywhere_else(web, result, tmp_path):
    one = f"/v1/streams/{result[0]['id']}"
    live = web.ask(f"{one}/fragments")
    assert re.fullmatch(r'video/mp4; codecs="avc1\.[0-9A-F]{6}"', live.headers["Content-Type"])
    data = live.read()
    stream = web.ask(f"{one}/stream.cmvc").read()
    back = tmp_path / "back.mp4"
    with Client() as client:
        client.decode(stream, back)
    assert data == back.read_bytes() == web.ask("/v1/decode", stream).read()
    ranged = web.ask(f"{one}/video.mp4", Range="bytes=100-299")
    assert (ranged.status, ranged.read()) == (206, data[100:300])
    assert json.load(web.ask(one))["codecs"].startswith("avc1.")
    with av.open(f"{web.url}{one}/hls.m3u8") as container:
        assert sum(1 for _ in container.decode(video=0)) == 60


def test_twenty_who_watch_one_stream_share_its_decode_and_none_stalls(web):
    decodes = 'cmvc_requests_total{code="OK",method="Decode"}'
    before = web.server.metric(decodes)
    made = web.events("/v1/streams", streams.stream(segments=60))
    here = f"{web.url}/v1/streams/{made[0]['id']}/fragments"
    seen = watch_all([here] * 20)
    assert all(57 < arrivals[-1].shown_at < 60 for arrivals in seen)
    assert [stalls(arrivals, speed=0.5) for arrivals in seen] == [[]] * 20  # at half speed, on a machine that is busy
    assert web.server.metric(decodes) == before + 1


def test_a_viewer_who_leaves_frees_the_decoder(web):
    left = 'cmvc_requests_total{code="CANCELLED",method="Decode"}'
    before = web.server.metric(left)
    made = web.events("/v1/streams", streams.stream(segments=40, frames=240))  # many times as long as a cancel
    with web.ask(f"/v1/streams/{made[0]['id']}/fragments") as video:
        video.read(1)
    until(lambda: web.server.metric(left) == before + 1, "the decode was cancelled")


def test_what_stalls_is_counted():
    on_time = [Arrival(5.0, 0.0), Arrival(5.1, 1.0), Arrival(6.9, 2.0)]
    late = [*on_time, Arrival(9.5, 3.0), Arrival(9.6, 4.0), Arrival(20.5, 5.0)]
    assert stalls(on_time) == []
    assert stalls(late) == pytest.approx([1.5, 9.0])
    assert stalls(late, speed=0.25) == []


def test_a_result_is_measured_against_its_original(web, video, result):
    assert "vmaf" in json.load(web.ask("/v1/capabilities"))["measures"]
    path = f"/v1/streams/{result[0]['id']}/scores"
    found = json.load(web.ask(f"{path}?measure=vmaf", video))
    assert len(found["segments"]) == sum(each["event"] == "segment" for each in result)
    assert 0 < min(found["segments"]) <= found["mean"] <= max(found["segments"]) <= 100
    other = write_video(moving_frames(9, 96, 64), container="mp4", codec="libx264")
    assert "9 frames" in web.refused(path, other)[1]["message"]
    status, refused = web.refused(path, b"no video at all" * 99)  # read in a process of its own, whose words are kept
    assert (status, refused["reason"]) == (400, "UNREADABLE_MEDIA")
    assert web.refused(f"{path}?measure=taste", video)[1]["reason"] == "INVALID_SETTING"


def test_a_stream_can_be_brought_along(web, result):
    stream = web.ask(f"/v1/streams/{result[0]['id']}/stream.cmvc").read()
    events = web.events("/v1/streams?name=mine.cmvc", stream)
    assert (events[-1]["event"], events[-1]["bytes"]) == ("done", len(stream))
    assert web.ask(f"/v1/streams/{events[0]['id']}/stream.cmvc").read() == stream
    web.ask(f"/v1/streams/{events[0]['id']}", method="DELETE")
    assert web.refused(f"/v1/streams/{events[0]['id']}")[0] == 404


def test_events_are_taken_up_where_they_were_left(web, result):
    kept = [each for each in result if each["event"] != "progress"]
    with web.ask(f"/v1/streams/{result[0]['id']}/events?after=1") as response:
        assert [json.loads(line) for line in response] == kept[2:]


@pytest.mark.parametrize(
    ("path", "data", "status", "reason"),
    [
        ("/v1/encode", b"no video at all" * 99, 400, "UNREADABLE_MEDIA"),
        ("/v1/encode?mode=tv", b"a", 400, "INVALID_SETTING"),
        ("/v1/encode?moed=tt2v", b"a", 400, "INVALID_SETTING"),
        ("/v1/encode", b"", 400, "INVALID_SETTING"),
        ("/v1/encode", bytes(3 << 20), 400, "LIMIT_EXCEEDED"),
        ("/v1/encode?adapter=" + "a" * 300, b"a", 400, "INVALID_SETTING"),
        ("/v1/streams", b"no stream", 400, "NOT_CMVC"),
        ("/v1/streams?x=" + "y" * 60_000, b"no stream", 400, "INVALID_SETTING"),
        ("/v1/decode", b"no stream", 400, "NOT_CMVC"),
        ("/v1/streams/aaaaaaaaaaaaaaaaaaaa", None, 404, "UNKNOWN_RESULT"),
    ],
)
def test_what_fails_says_why_and_what_to_do(web, video, path, data, status, reason):
    data = video if data == b"a" else data
    found, error = web.refused(path, data)
    assert (found, error["status"], error["reason"]) == (status, status, reason), error
    assert error["message"]
    assert error["what_to_do"]


def test_whoever_leaves_frees_the_slot(web):
    ended = 'cmvc_requests_total{code="CANCELLED",method="Encode"}'
    before = web.server.metric(ended)
    part = write_video(moving_frames(400), codec="libx264")
    host, port = web.address.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/encode?mode=tt2v HTTP/1.1\r\nHost: {web.address}\r\nContent-Length: {1 << 20}\r\n\r\n"
        connection.sendall(head.encode() + part)  # the rest never comes, so that the encode cannot have ended
        assert connection.recv(12) == b"HTTP/1.1 200"
    until(lambda: web.server.metric(ended) > before, "the encode was cancelled")


def test_pages_of_others_may_ask_only_where_they_are_let(web, video):
    assert web.refused("/v1/encode", video, Origin="https://b.example")[1]["reason"] == "FOREIGN_ORIGIN"
    with web.ask("/v1/capabilities", Origin="https://a.example") as response:
        assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"
        assert "MODE_IT2V" in json.load(response)["encoder"]["modes"]
    assert web.ask("/v1/capabilities", Origin="https://b.example").headers["Access-Control-Allow-Origin"] is None


def test_the_description_of_the_api_names_every_route(web):
    described = json.load(web.ask("/v1/openapi.json"))
    connection = http.client.HTTPConnection(web.address)
    for path, methods in described["paths"].items():
        for method in methods:
            connection.request(method.upper(), path.replace("{id}", "aaaaaaaaaaaaaaaaaaaa"))
            response = connection.getresponse()
            response.read()
            assert response.status not in (405, 500), (method, path)
            assert response.status != 404 or "{id}" in path, (method, path)


def test_probes_tell_living_from_able(web):
    assert web.ask("/healthz").status == web.ask("/readyz").status == 200


def test_tokens_are_asked_for_and_results_are_their_owners(tmp_path, video, result, web):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN}\nbattery-staple\n")
    gateway = Server("gateway", "--encoder", "127.0.0.1:9")  # nobody there: streams are kept without it
    try:
        with servers() as start:
            server = start("web", "--gateway", gateway.address, "--token-file", str(tokens))
            server.lines.append(f"studio on http://{server.address}/")
            stranger, one, other = Web(server), Web(server, TOKEN), Web(server, "battery-staple")
            assert stranger.refused("/v1/capabilities")[0] == 401
            assert stranger.ask("/").status == 200
            events = one.events("/v1/streams", web.ask(f"/v1/streams/{result[0]['id']}/stream.cmvc").read())
            path = f"/v1/streams/{events[0]['id']}"
            assert other.refused(path)[0] == 404
            assert one.ask(path).status == 200
            assert stranger.ask(path, Cookie=f"cmvc_token={TOKEN}").status == 200
    finally:
        gateway.stop()


@pytest.mark.parametrize(("gateway", "line"), [("10.9.8.7:1", "do not go on to 10.9.8.7:1"), ("nowhere", "HOST:PORT")])
def test_what_is_wrong_with_the_gateway_is_said_at_the_start(tmp_path, gateway, line):
    (tmp_path / "tokens").write_text(TOKEN)
    command = [*CMVC, "serve", "web", "--gateway", gateway, "--listen", "127.0.0.1:0", "--end-with-stdin"]
    done = subprocess.run(
        [*command, "--token-file", str(tmp_path / "tokens")], input="", capture_output=True, text=True, check=False
    )
    assert line in done.stderr


def test_callers_tokens_are_the_gateways_to_judge(tmp_path, video):
    (tmp_path / "tokens").write_text(f"{TOKEN}\nbattery-staple\n")
    with servers() as start:
        behind = start("all", "--token-file", str(tmp_path / "tokens"))
        server = start("web", "--gateway", behind.address)
        server.lines.append(f"studio on http://{server.address}/")
        for token in (TOKEN, "battery-staple"):
            web = Web(server, token)
            assert json.load(web.ask("/v1/capabilities"))["encoder"]["modes"]
            events = web.events("/v1/encode?mode=tt2v&effort=fast", video)
            assert events[-1]["event"] == "done", events
            path = f"/v1/streams/{events[0]['id']}"
            stream = web.ask(f"{path}/stream.cmvc").read()
            assert web.ask("/v1/decode", stream).read() == web.ask(f"{path}/fragments").read()
        for stranger in (Web(server), Web(server, "tr0ub4dor")):
            for path, data in (("/v1/capabilities", None), ("/v1/encode", video), ("/v1/decode", stream)):
                assert stranger.refused(path, data)[0] == 401


def test_the_studio_of_serve_all_works_with_its_callers_tokens(tmp_path, video):
    (tmp_path / "tokens").write_text(f"{TOKEN}\nbattery-staple\n")
    with servers() as start:
        server = start("all", "--web", "127.0.0.1:0", "--token-file", str(tmp_path / "tokens"))
        assert Web(server).refused("/v1/capabilities")[0] == 401
        assert Web(server, "battery-staple").events("/v1/encode?mode=tt2v&effort=fast", video)[-1]["event"] == "done"
