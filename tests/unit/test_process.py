"""What CMVC sets for a whole process is set by whatever runs the work, never by an import."""

import os
import subprocess
import sys

import pytest

# Other libraries may set what they like; they are here before the look at the environment.
WATCH = """
import ctypes, os
import av, cv2, grpc, numpy

asked = []

class Watched(ctypes.CDLL):
    def __getattr__(self, name):
        asked.extend([name] if name == "mallopt" else [])
        return super().__getattr__(name)

ctypes.CDLL = Watched
before = dict(os.environ)
"""
SET = "print({name: os.environ[name] for name in os.environ if os.environ[name] != before.get(name)}, asked)"


def told(code):
    # What this process was given, or gave itself in another test, is not what is looked for.
    environment = {name: value for name, value in os.environ.items() if name not in {"SVT_LOG", "GRPC_VERBOSITY"}}
    command = [sys.executable, "-c", f"{WATCH}\n{code}\n{SET}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["cmvc.media.av1", "cmvc.client", "cmvc_encoder.servicer", "cmvc_decoder.servicer"])
def test_importing_sets_nothing(module):
    assert told(f"import {module}") == "{} []"


def test_preparing_sets_the_codecs_log_and_the_allocator_once():
    code = "from cmvc.process import prepare; prepare(); prepare()"
    assert told(code) == "{'SVT_LOG': '1'} ['mallopt']"


def test_a_log_level_that_is_set_stays():
    code = "os.environ['SVT_LOG'] = '3'; before = dict(os.environ); import cmvc.process; cmvc.process.prepare()"
    assert told(code) == "{} ['mallopt']"


def test_a_client_prepares_the_process_that_it_works_in_but_not_one_that_only_calls():
    assert told("import cmvc.client; cmvc.client.Client()") == "{'SVT_LOG': '1'} ['mallopt']"
    assert told("import cmvc.client; cmvc.client.Client('127.0.0.1:1')") == "{} []"


def test_the_command_keeps_grpc_quiet_unless_told_otherwise():
    code = "from cmvc.cli import surroundings; surroundings.prepare()"
    assert told(code) == "{'GRPC_VERBOSITY': 'NONE'} []"
    assert told(f"os.environ['GRPC_VERBOSITY'] = 'INFO'; before = dict(os.environ); {code}") == "{} []"


@pytest.mark.parametrize(("service", "prepared"), [("encoder", ["mallopt"]), ("gateway --encoder 127.0.0.1:1", [])])
def test_a_process_that_serves_is_prepared_before_its_server_has_threads(service, prepared):
    code = f"""
from cmvc.cli import serve
serve.run = lambda *_: print(asked)
serve.command.main({service.split()!r}, standalone_mode=False)
"""
    assert told(code).splitlines()[0] == str(prepared)
