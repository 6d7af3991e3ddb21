"""An option of a service is said once; flag, variable, help, docs and ``serve all`` follow."""

import importlib
from pathlib import Path

import attrs
import click
import pytest
from click.testing import CliRunner

import cmvc.cli.encode
import cmvc.cli.serve
from cmvc import services
from cmvc.cli import cli, reference
from cmvc.cli.options import ClientOptions, option_flags, take_options
from cmvc.errors import InvalidSettingError
from cmvc.options import Options, arguments, declared, from_environment, option
from cmvc.server.options import LogOptions, ServerOptions
from cmvc.server.security import ServerSecurity
from cmvc_decoder.options import DecoderOptions
from cmvc_encoder.options import EncoderOptions
from cmvc_gateway.options import GatewayLimits, GatewayOptions
from cmvc_web.options import WebLimits, WebOptions, WebServerOptions

ROOT = Path(__file__).parents[2]


@attrs.frozen(kw_only=True)
class Dummy(EncoderOptions):
    """An encoder's options, and one more."""

    shine: int = option(3, "How bright it shines.", least=1)


class Offered:
    """An encoder that notes what it was started with."""

    options = Dummy

    def __init__(self):
        self.given = []

    def attach(self, server, *, running, waiting, options):
        self.given.append(options)
        raise InvalidSettingError("far enough")


@pytest.fixture
def offered(monkeypatch):
    real, service = services._load, Offered()
    monkeypatch.setattr(services, "_load", lambda name: service if name == "encoder" else real(name))
    importlib.reload(cmvc.cli.encode)
    yield service
    monkeypatch.undo()
    importlib.reload(cmvc.cli.encode)


def run(*arguments, **variables):
    return CliRunner().invoke(cli, arguments, env=variables)


@pytest.mark.parametrize("command", ["serve encoder", "serve all", "encode"])
def test_it_is_a_flag_with_help(offered, command):
    done = run(*command.split(), "--help")
    assert "--shine INTEGER RANGE" in done.output
    assert "How bright it shines.  [default: 3; x>=1]" in done.output


def test_flag_and_variable_set_it(offered):
    for given in ({"arguments": ("--shine", "5")}, {"variables": {"CMVC_SERVE_ENCODER_SHINE": "5"}}, {}):
        run("serve", "encoder", *given.get("arguments", ()), **given.get("variables", {}))
    assert [each.shine for each in offered.given] == [5, 5, 3]


def test_serve_all_hands_it_on(offered, monkeypatch):
    started = {}

    def fleet(children, *, metrics):
        started.update(children)
        raise InvalidSettingError("far enough")

    monkeypatch.setattr(cmvc.cli.serve, "Fleet", fleet)
    run("serve", "all", "--shine", "7", "--model", "a model", "--speed", "a=1", "--speed", "b=2")
    assert "--shine=7" in started["encoder"].arguments
    assert "--model=a model" in started["encoder"].arguments
    assert [each for each in started["decoder"].arguments if each.startswith("--speed")] == [
        "--speed=a=1",
        "--speed=b=2",
    ]


def test_it_is_in_the_docs(offered):
    row = "| `--shine INTEGER RANGE` | `CMVC_SERVE_ENCODER_SHINE` | 3 | How bright it shines. |"
    assert row in reference.page()


def test_the_page_of_options_is_up_to_date():
    assert (ROOT / "docs/options.md").read_text() == reference.page(), "run: make options"


@pytest.mark.parametrize("kind", [EncoderOptions, DecoderOptions, GatewayLimits, WebLimits])
def test_arguments_make_the_same_options_again(kind):
    values = {int: 7, float: 2.5, str: "v", bool: True, Path: Path("p")}

    def value(each):
        return each.choices[-1] if each.choices else ("a", "b") if each.many else values[each.kind]

    options = kind(**{each.field: value(each) for each in declared(kind)})
    seen = []
    command = click.command()(option_flags(kind)(lambda **settings: seen.append(take_options(kind, settings))))
    command.main(list(arguments(options)), standalone_mode=False)
    assert seen == [options]
    assert arguments(kind()) == ()


def test_services_do_not_share_names_that_serve_all_would_mix_up():
    for kinds in (
        (EncoderOptions, DecoderOptions, GatewayLimits, WebLimits, ServerOptions, ServerSecurity, LogOptions),
        (EncoderOptions, ClientOptions),
        (GatewayOptions, ServerOptions, ServerSecurity, LogOptions),
        (WebOptions, WebServerOptions, ServerSecurity, LogOptions),
    ):
        names = [each.name for kind in kinds for each in declared(kind)]
        assert len(names) == len(set(names))


def test_values_out_of_range_are_refused_without_a_command_line_too():
    with pytest.raises(InvalidSettingError, match="shine=0"):
        Dummy(shine=0)


def test_variables_of_their_own_hold_without_a_command_line(monkeypatch):
    monkeypatch.setenv("CMVC_SPEED", "dtype=bfloat16 batch=2")
    monkeypatch.setenv("CMVC_MODELS", "/models")
    found = from_environment(DecoderOptions)
    assert (found.speed, found.models, found.triton) == (("dtype=bfloat16", "batch=2"), Path("/models"), "")


def test_options_that_exclude_each_other_are_wrong_usage():
    with pytest.raises(InvalidSettingError, match="at least one"):
        GatewayOptions().check()
    assert isinstance(GatewayOptions(), Options)
