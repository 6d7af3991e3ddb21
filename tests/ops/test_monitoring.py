"""A real Prometheus watches the real services work: rules, alerts and every panel of the dashboard have data.

Where CMVC_DASHBOARD_PICTURE is set, the picture of the panels is written there: `make test-ops PICTURE=...` sets it.
"""

import io
import json
import math
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
import yaml
from media_files import moving_frames, write_video
from prometheus_server import ROOT, RULES, Prometheus, promtool
from servers import Server, servers, until
from streams import stream

from benchmarks import dashboard
from benchmarks.dashboard import Panel, Series, Span
from cmvc.client import Client
from cmvc.settings import decode_config, encode_config

MONITORING = ROOT / "deploy/monitoring"
RULE_TESTS = MONITORING / "tests/cmvc.yml"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
PANELS = [panel for panel in dashboard.panels() if panel.kind != "row"]
RATES = {"tt2v": "2k", "it2v": "12k", "coded": "40k"}
FLOOR = {"mode": "it2v", "bitrate": "100"}  # less than any picture takes
DOWN = {"CmvcBackendDown", "CmvcServiceDown"}  # what is to be said of a dead decoder
RATE_S = 10  # windows of rates: ten scrapes
TAIL_S = 3  # until the last numbers have been scraped, and the rules over them evaluated
ALERTS = [
    rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
]


@dataclass
class Run:
    """What is left of the work that was watched."""

    url: str
    span: Span
    killed: str  # address of the decoder
    pending: set[str]  # alerts in the end that would fire if it stayed like that
    exposed: dict[str, str]  # what each service has at /metrics in the end


def _video() -> bytes:
    return write_video(moving_frames(72, 256, 144), codec="libx264", options={"crf": "12"})


def _send(client: Client, video: bytes, **settings: str) -> None:
    out = io.BytesIO()
    client.encode(io.BytesIO(video), out, encode_config(**settings))
    for _ in client.decode_stream([out.getvalue()]):
        pass


def _most_waiting(url: str) -> float:
    """Return the longest line that Prometheus has seen anywhere; how long lines last is the machine's business."""
    found = dashboard.ask(url, "query", query="max(max_over_time(cmvc_queue_depth[10m]))")["result"]
    return float(found[0]["value"][1]) if found else 0.0


def _work(gateway: Server, url: str) -> None:
    """Send videos in every mode, one over its target, and long streams at once until something was seen to wait."""
    with Client(gateway.address) as client:
        for mode, rate in RATES.items():
            _send(client, _video(), mode=mode, bitrate=rate)
        _send(client, _video(), **FLOOR)

        def waited() -> bool:
            several = [threading.Thread(target=_decode, args=(client, stream(segments=12))) for _ in range(4)]
            for one in several:
                one.start()
            for one in several:
                one.join()
            return _most_waiting(url) > 0

        until(waited, "Prometheus sees work that waits")


def _decode(client: Client, data: bytes) -> None:
    for _ in client.decode_stream([data]):
        pass


def _kill_in_the_middle(gateway: Server, doomed: Server) -> None:
    """Decode a stream of which one decoder does not live to see the end."""
    config = decode_config(output="y4m")
    with Client(gateway.address) as client, client.decode_stream([stream(segments=16)], config) as transfer:
        parts = iter(transfer)
        next(parts)
        # Frozen first, so that it surely holds segments when it dies.
        doomed.send(signal.SIGSTOP)
        killer = threading.Timer(0.5, doomed.process.kill)
        killer.start()
        for _ in parts:
            pass
        killer.join()
    doomed.process.wait()


def _pending(url: str) -> set[str]:
    """Return the alerts whose condition holds, though not for long enough yet."""
    found = dashboard.ask(url, "query", query='ALERTS{alertstate="pending"}')["result"]
    return {each["metric"]["alertname"] for each in found}


def _targets(gateway: Server, encoder: Server, *decoders: Server) -> dict[str, list[str]]:
    jobs = {"gateway": [gateway], "encoder": [encoder], "decoder": decoders}
    return {job: [re.sub(r"https?://|/metrics", "", each.metrics_url) for each in these] for job, these in jobs.items()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[Prometheus]:
    running = Prometheus(tmp_path_factory.mktemp("prometheus"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def run(prometheus) -> Run:
    """Let the services work while Prometheus watches; one decoder is killed in between, and comes back."""
    url = prometheus.url
    with servers() as start:
        encoder, first, doomed = start("encoder"), start("decoder"), start("decoder")
        behind = [argument for each in (first, doomed) for argument in ("--decoder", each.address)]
        gateway = start("gateway", "--encoder", encoder.address, *behind)
        prometheus.watch(_targets(gateway, encoder, first, doomed))
        until(lambda: _up(url) == 4, "Prometheus scrapes all four")
        began = time.time()
        _work(gateway, url)
        _kill_in_the_middle(gateway, doomed)
        until(lambda: _pending(url) >= DOWN, "the alerts on a decoder that is down are pending")
        back = start("decoder", listen=doomed.address)
        prometheus.watch(_targets(gateway, encoder, first, back))
        up = f'cmvc_backend_up{{backend="{back.address}"}}'
        until(lambda: gateway.metric(up) == 1, "the decoder that came back is taken for up")
        _work(gateway, url)
        time.sleep(TAIL_S)
        exposed = {"gateway": gateway.metrics(), "encoder": encoder.metrics(), "decoder": first.metrics()}
        return Run(url, Span(began, time.time(), RATE_S), doomed.address, _pending(url), exposed)


def _up(url: str) -> int:
    result = dashboard.ask(url, "query", query="sum(up)")["result"]
    return int(result[0]["value"][1]) if result else 0


@pytest.fixture(scope="module")
def found(run) -> dict[str, list[list[Series]]]:
    """What each query of each panel gave, by the panel's title."""
    return {panel.title: [dashboard.fetch(run.url, query, run.span) for query in panel.queries] for panel in PANELS}


def test_promtool_accepts_configuration_and_rules():
    promtool("check", "config", MONITORING / "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_every_alert_fires_where_it_should_and_only_there():
    promtool("test", "rules", RULE_TESTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_is_tested_both_ways_and_has_a_line_in_the_manual(alert):
    cases = [
        each for test in yaml.safe_load(RULE_TESTS.read_text())["tests"] for each in test.get("alert_rule_test", ())
    ]
    expected = [bool(each.get("exp_alerts")) for each in cases if each["alertname"] == alert]
    assert set(expected) == {True, False}
    assert re.search(rf"^\| `{alert}` \| \S.* \| \S.* \|$", OPERATIONS, re.MULTILINE)


def test_metrics_of_every_service_are_well_formed(run):
    for text in run.exposed.values():
        complaints = promtool("check", "metrics", text=text, content=False)
        assert [line for line in complaints if 'instead of "bits"' not in line] == []  # bit rates are in bits


def test_every_metric_of_the_project_is_in_the_manual_and_in_rules_or_panels(run):
    shown = " ".join(query.expression for panel in PANELS for query in panel.queries) + RULES.read_text()
    names = {name for text in run.exposed.values() for name in re.findall(r"^# TYPE (cmvc_\w+) ", text, re.MULTILINE)}
    assert len(names) >= 14
    for name in names:
        assert re.search(rf"^\| `{name}[{{`]", OPERATIONS, re.MULTILINE), name
        assert name in shown


def test_rules_ask_for_metrics_that_exist(run):
    exposed = " ".join(run.exposed.values())
    for name in re.findall(r"\bcmvc_\w+", RULES.read_text()):
        assert re.search(rf"^{name}\b", exposed, re.MULTILINE), name


def test_rules_are_evaluated_without_error(run):
    rules = [rule for group in dashboard.ask(run.url, "rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} >= set(ALERTS)
    assert [rule for rule in rules if rule["health"] != "ok"] == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_query_of_the_panel_returns_data(found, panel):
    for query, series in zip(panel.queries, found[panel.title], strict=True):
        assert any(each.finite for each in series), query.expression
        if query.instant:
            assert all(math.isfinite(value) for each in series for _, value in each.points), query.expression


def test_panels_tell_what_happened(run, found):
    def values(title: str) -> dict[str, list[float]]:
        return {each.name: [value for _, value in each.finite] for one in found[title] for each in one}

    assert set(values("Bit rate, by mode")) == set(RATES)
    assert {f"decode {mode} embedded" for mode in RATES} <= set(values("Video done, by mode and profile"))
    assert {f"decode {mode} embedded" for mode in RATES} <= set(values("Speed of one worker, by mode and profile"))
    killed = values("Backends")[run.killed]
    assert (killed[0], min(killed), killed[-1]) == (1, 0, 1)
    assert max(values("Segments driven again")["unavailable"]) > 0
    over = values("Streams over their target")
    assert over["it2v"][0] > 0
    assert over["coded"][0] == 0
    assert "segments" in values("Waiting")
    assert _most_waiting(run.url) > 0
    assert values("Services that answer")["services"] == [1]


def test_encoder_counts_all_video_and_the_streams_over_their_target(run):
    text = run.exposed["encoder"]
    video = re.findall(r'^cmvc_video_seconds_total\{direction="encode",mode="(\w+)",profile=""\} (\S+)$', text, re.M)
    # Two rounds, each with one video of 3 s per mode and one more in IT2V.
    assert {mode: float(seconds) for mode, seconds in video} == {"tt2v": 6.0, "it2v": 12.0, "coded": 6.0}
    over = re.findall(r'^cmvc_streams_over_target_total\{mode="(\w+)"\} (\S+)$', text, re.M)
    counts = {"auto": 0, "tt2v": 0, "it2v": 2, "vt2v": 0, "coded": 0}
    assert {mode: float(count) for mode, count in over} == counts


def test_alerts_on_a_killed_decoder_end_when_it_is_back(run):
    assert run.pending.isdisjoint(DOWN)


def test_dashboard_is_what_grafana_takes():
    whole = json.loads(dashboard.DASHBOARD.read_text())
    assert whole["schemaVersion"] >= 39  # Grafana 11
    assert {each["name"] for each in whole["templating"]["list"]} == {"datasource", "mode", "profile", "backend"}
    everything = dashboard.panels()
    assert len({panel.json["id"] for panel in everything}) == len(everything)
    assert [panel.title for panel in everything if panel.kind == "row"] == [
        "Is it up?",
        "Is it keeping up?",
        "How many bits?",
        "Where does the time go?",
        "Who uses it?",
    ]
    taken = [cell for panel in everything for cell in _cells(panel)]
    assert len(set(taken)) == len(taken)  # none lies on another
    used = " ".join(query.expression for panel in PANELS for query in panel.queries)
    assert set(re.findall(r"\$(\w+)", used)) == {"mode", "profile", "backend", "__rate_interval", "__range"}


def _cells(panel: Panel) -> Iterator[tuple[int, int]]:
    place = panel.json["gridPos"]
    assert place["x"] + place["w"] <= dashboard.COLUMNS
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_panel_says_what_it_shows_and_names_no_fixed_source(panel):
    assert len(panel.json["description"]) > 20
    assert panel.defaults["unit"]
    assert panel.defaults["thresholds"]["steps"][0]["value"] is None
    assert len(panel.queries) >= 1
    for part in (panel.json, *panel.json["targets"]):
        assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_picture_shows_the_panels(run, tmp_path):
    path = Path(os.environ.get("CMVC_DASHBOARD_PICTURE") or tmp_path / "dashboard.png")
    dashboard.draw(dashboard.fetch_all(run.url, run.span), run.span, path)
    with av.open(str(path)) as picture:
        frame = next(picture.decode(video=0)).to_ndarray(format="gray")
    height, width = frame.shape
    for panel in PANELS:  # something is drawn inside each
        place = panel.json["gridPos"]
        rows = max(each.json["gridPos"]["y"] + each.json["gridPos"]["h"] for each in PANELS)
        top, bottom = (round((place["y"] + edge * place["h"]) * height / rows) for edge in (0.3, 0.9))
        left, right = (round((place["x"] + edge * place["w"]) * width / dashboard.COLUMNS) for edge in (0.3, 0.95))
        assert frame[top:bottom, left:right].std() > 0, panel.title
