"""What servers log: fields of a line, ids of the trace in it, and that text stays the default."""

import io
import json
import logging
import subprocess
import sys
from contextvars import copy_context

import pytest

from cmvc.server.logs import JsonFormatter, TextFormatter, message_of
from cmvc.wire import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = (("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01"),)


def logged(log):
    """Return the lines that ``log`` makes of a logger, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter("cmvc-test"))
    logger = logging.Logger("cmvc.somewhere")
    logger.addHandler(handler)
    log(logger)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_what_and_who():
    (line,) = logged(lambda logger: logger.warning("backend %s is\ndown: ü", "a:1"))
    assert line.pop("time")[-1] == "Z"
    assert line == {
        "level": "warning",
        "logger": "cmvc.somewhere",
        "message": "backend a:1 is down: ü",
        "service": "cmvc-test",
    }


def test_time_is_utc_to_the_millisecond():
    record = logging.LogRecord("x", logging.INFO, "", 0, "m", (), None)
    record.created, record.msecs = 1700000000.0425, 42.5
    assert json.loads(JsonFormatter("s").format(record))["time"] == "2023-11-14T22:13:20.042Z"


def test_the_traceback_of_an_exception_stays_within_its_line():
    def log(logger):
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logger.exception("failed")

    (line,) = logged(log)
    assert line["exception"].startswith("  Traceback")
    assert "  ValueError: two\n  lines" in line["exception"]


@pytest.mark.parametrize("formatter", [JsonFormatter("s"), TextFormatter("%(levelname)s %(message)s")])
def test_text_of_strangers_forges_no_line_and_no_colour(formatter):
    try:
        raise ValueError("x\nERROR all is lost \x1b[31m")
    except ValueError:
        record = logging.LogRecord(
            "x", 40, "", 0, "%s", ("a\nERROR forged \x1b]0;title\x07" + "z" * 9000,), sys.exc_info()
        )
    text = formatter.format(record)
    first, *rest = text.splitlines()
    assert all(line.startswith("  ") for line in rest)
    assert "\x1b" not in text
    assert "z" * 1000 not in text
    assert first.startswith(("ERROR a ERROR forged", "{"))


def test_a_call_of_a_traced_client_is_named_even_where_nothing_is_recorded():
    def call():
        tracing.call("Decode", CALLER)
        return logged(lambda logger: logger.warning("x"))

    (line,) = copy_context().run(call)
    assert line["trace_id"] == TRACE
    (line,) = logged(lambda logger: logger.warning("x"))
    assert "trace_id" not in line


def test_the_message_is_read_out_of_both_formats():
    record = logging.LogRecord("cmvc.said", logging.INFO, "", 0, "listening on 127.0.0.1:1", (), None)
    assert message_of(JsonFormatter("s").format(record) + "\n") == "listening on 127.0.0.1:1"
    assert message_of("listening on 127.0.0.1:1\n") == "listening on 127.0.0.1:1"


def said(form):
    code = (
        f"import logging; from cmvc.server import logs; logs.set_up({form!r}, 'warning', 'decoder');"
        "logging.getLogger('a').info('quiet'); logging.getLogger('a').warning('loud');"
        "logging.getLogger(logs.SAID).info('listening on x:1')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.splitlines()


def test_text_says_where_it_listens_as_it_is():
    loud, listening = said("text")
    assert loud.endswith("WARNING a: loud")
    assert listening == "listening on x:1"


def test_json_is_all_json():
    loud, listening = map(json.loads, said("json"))
    assert (loud["message"], loud["service"]) == ("loud", "cmvc-decoder")
    assert (listening["message"], listening["level"]) == ("listening on x:1", "info")
