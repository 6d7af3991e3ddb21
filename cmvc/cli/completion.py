"""``cmvc completion``: what makes a shell complete commands, options and files."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete this command.

    For bash: cmvc completion bash >> ~/.bashrc. For zsh: the same with ~/.zshrc, behind compinit. For fish: cmvc
    completion fish > ~/.config/fish/completions/cmvc.fish.
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, "cmvc", "_CMVC_COMPLETE").source())
