"""The environment variables that the command line knows, so that a misspelt one in a manifest is found."""

from functools import cache

import click

from cmvc.cli import cli
from cmvc_decoder.models.command import command as models
from cmvc_decoder.triton.command import command as triton

PREFIX = "CMVC"


@cache
def variables():
    """Return each variable with its option."""
    found = {}
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in ("encode", "decode", "serve")}
    for name, command in {**commands, "models": models, "triton": triton}.items():
        _add(found, f"{PREFIX}_{name.upper()}", command)
    return found


def check(environment):
    """Assert that every CMVC_ variable of a container is an option's, and its value one that the option takes."""
    for name, value in environment.items():
        if not name.startswith(f"{PREFIX}_"):
            continue
        assert name in variables(), f"{name} is no option"
        option = variables()[name]
        values = value.split() if option.multiple else [value]
        for each in values:
            if not isinstance(option.type, click.Path):
                option.type.convert(each, option, None)


def _add(found, prefix, command):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            _add(found, f"{prefix}_{name.upper().replace('-', '_')}", inner)
        return
    for option in command.params:
        if isinstance(option, click.Option):
            found[f"{prefix}_{option.name.upper()}"] = option
            if option.envvar:
                found[option.envvar] = option
