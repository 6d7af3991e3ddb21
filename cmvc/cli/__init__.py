"""The command ``cmvc``: one module per subcommand, and the one place that turns errors into exit codes.

Exit codes: 0 done, 1 failed (one line ``error: REASON: what and what to do`` on standard error), 2 wrong usage,
129 SIGHUP, 130 Ctrl-C, 143 SIGTERM.
"""

import errno
import os
import signal
import sys
from importlib import import_module
from importlib.metadata import entry_points
from types import FrameType, TracebackType
from typing import Never

try:
    import click
    import rich  # noqa: F401
except ImportError:
    sys.exit("error: CLI_NOT_INSTALLED: the command line needs click and rich; in a checkout run: pip install '.[cli]'")

from cmvc.cli import surroundings
from cmvc.cli.messages import print_error
from cmvc.cli.version import version_flag
from cmvc.errors import CmvcError

EXIT_FAILED, EXIT_USAGE, EXIT_HUNG_UP, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 2, 129, 130, 143


COMMANDS = ("encode", "decode", "inspect", "evaluate", "compare", "thumb", "serve", "doctor", "completion")
COMMAND_GROUP = "cmvc.commands"


class _Commands(click.Group):
    """The modules of this package, imported when they are called, so that none waits for what another needs.

    Services add commands of their own by the entry points ``cmvc.commands``.
    """

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(entry_points(group=COMMAND_GROUP).names)]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        command: click.Command
        if cmd_name in COMMANDS:
            command = import_module(f"cmvc.cli.{cmd_name}").command
            return command
        for entry_point in entry_points(group=COMMAND_GROUP, name=cmd_name):
            command = entry_point.load()
            return command
        return None

    def invoke(self, ctx: click.Context) -> None:
        # Here rather than around ``main``: click takes any EOFError (a truncated stream is one) for Ctrl-D.
        try:
            super().invoke(ctx)
        except CmvcError as error:
            print_error(error.reason, f"{error} (trace {error.trace_id})" if error.trace_id else str(error))
        except OSError as error:
            print_error(*_explain(error))
        else:
            return
        ctx.exit(EXIT_FAILED)


@version_flag
@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "CMVC"})
def cli() -> None:
    """Send video as text, images and tiny videos, and make it again.

    Every option can be set by an environment variable, such as CMVC_ENCODE_TARGET.
    """


def main() -> Never:
    """Run the command line and exit."""
    surroundings.prepare()
    sys.excepthook = _report_defect
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which it is under nohup
        signal.signal(signal.SIGHUP, _hang_up)
    code = _run()
    sys.exit(code if surroundings.flush() else code or EXIT_FAILED)


def _run() -> int:
    try:
        code = cli.main(standalone_mode=False, prog_name="cmvc")
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return int(code or 0)


def _explain(error: OSError) -> tuple[str, str]:
    what = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if isinstance(error, FileNotFoundError):
        return "NOT_FOUND", f"{what}; check the path"
    if isinstance(error, PermissionError):
        return "PERMISSION_DENIED", f"{what}; check who may read or write it"
    if isinstance(error, BrokenPipeError):
        return "BROKEN_PIPE", "the reader of standard output has gone; keep it open until the end"
    if error.errno == errno.EBADF:
        return "IO_ERROR", f"{what}; open it, or name a file"
    return "IO_ERROR", f"{what}; check the path and the space left on the device"


def _terminate(_number: int, _frame: FrameType | None) -> Never:
    # As an exception, so that temporary files are removed.
    raise SystemExit(EXIT_TERMINATED)


def _hang_up(_number: int, _frame: FrameType | None) -> Never:
    raise SystemExit(EXIT_HUNG_UP)


def _report_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Stand in for the traceback: a user gets one line, a developer sets CMVC_TRACEBACK."""
    if os.environ.get("CMVC_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
    else:
        print_error(
            "INTERNAL", f"{kind.__name__}: {error}; this is a defect, please report it with CMVC_TRACEBACK=1 set"
        )
