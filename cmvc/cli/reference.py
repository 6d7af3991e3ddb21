"""``python -m cmvc.cli.reference``: the page ``docs/options.md``, from what the commands say of their options."""

import re
from collections.abc import Iterator

import click

from cmvc.cli import COMMANDS, cli

_TITLE = """# Options

Every option of every command, its environment variables and its default. `make options` writes this page.
"""
_IN_HELP = re.compile(r"  \[default: (.*)\]$")


def page() -> str:
    """Return the page in Markdown."""
    context = click.Context(cli, info_name="cmvc", auto_envvar_prefix=cli.context_settings["auto_envvar_prefix"])
    sections = [_TITLE]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        sections += _sections(command, click.Context(command, context, name))
    return "\n".join(sections)


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _sections(inner, click.Context(inner, context, name))
        return
    rows = "".join(_row(each, context) for each in command.params if isinstance(each, click.Option) and not each.hidden)
    head = "| option | variable | default | meaning |\n|---|---|---|---|\n"
    yield f"## `{context.command_path}`\n\n{command.get_short_help_str(200)}\n\n{head}{rows}"


def _row(option: click.Option, context: click.Context) -> str:
    names = [f"{context.auto_envvar_prefix}_{(option.name or '').upper()}"]
    if isinstance(option.envvar, str):
        names.append(option.envvar)
    text = option.help or ""
    in_help = _IN_HELP.search(text)
    default = ""
    if in_help:
        text, default = text[: in_help.start()], in_help[1]
    elif isinstance(option.show_default, str):
        default = option.show_default
    elif option.show_default:
        value = option.default
        default = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    value_name = "" if option.is_flag else f" {option.make_metavar(context)}"
    cells = (f"`{option.opts[0]}{value_name}`", ", ".join(f"`{name}`" for name in names), default, text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    click.echo(page(), nl=False)
