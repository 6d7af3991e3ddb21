"""``python -m cmvc.cli.error_reference``: the page ``docs/errors.md``, from what ``cmvc/errors.py`` says of errors."""

import inspect

import click

from cmvc.errors import CmvcError, error_classes

_TITLE = """# Errors

Every `reason` of an error: the word after `error:` on the command line, `ErrorInfo.reason` in the status details of a
failed call (domain `cmvc`), a value of the enum `cmvc.v1.ErrorReason`, and an exception of `cmvc.errors`. `make errors`
writes this page from `cmvc/errors.py`.

A status carries `google.rpc.ErrorInfo` (in a trace with its `trace_id`), `google.rpc.BadRequest` where a field of the
request is what is wrong, and `google.rpc.RetryInfo` where it says when to come back. The SDK repeats calls that failed
for a reason marked ↻, if nothing of the answer has been taken yet and the source can be read again.

| reason | status | exception | what is wrong | what to do |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page in Markdown."""
    return _TITLE + "".join(_row(kind) for _, kind in sorted(error_classes().items()) if kind is not CmvcError)


def _row(kind: type[CmvcError]) -> str:
    wrong, remedy = paragraphs(kind)
    reason = f"`{kind.reason}`" + (" ↻" if kind.transient else "")
    cells = (reason, kind.code.name, f"`{kind.__name__}`", wrong, remedy)
    return "| " + " | ".join(cell.replace("``", "`").replace("|", "\\|") for cell in cells) + " |\n"


def paragraphs(kind: type[CmvcError]) -> tuple[str, str]:
    """Return what is wrong and what to do, from the class's docstring."""
    wrong, remedy = (inspect.getdoc(kind) or "").split("\n\n")
    return " ".join(wrong.split()), " ".join(remedy.split())


if __name__ == "__main__":
    click.echo(page(), nl=False)
