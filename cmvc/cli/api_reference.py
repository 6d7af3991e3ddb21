"""``python -m cmvc.cli.api_reference``: the page ``docs/api/README.md``, from the docstrings of ``cmvc.__all__``.

By griffe2md, which reads the code without running it; pdoc would write HTML, which nobody reads in a repository.
"""

import re
from pathlib import Path

import click
import griffe
from griffe2md import ConfigDict, render_object_docs

import cmvc

_TITLE = """# The Python SDK

Everything in `cmvc.__all__`, from its docstrings; `make api` writes this page. Errors have [a page of their
own](../errors.md), and what a config holds is described in [`proto/`](../../proto/cmvc/v1).

"""
_CONFIG = ConfigDict(
    heading_level=2,
    line_length=100,
    members_order="source",
    show_object_full_path=False,
    show_root_members_full_path=False,
    show_root_full_path=False,
    show_signature_annotations=True,
    summary=False,
)
_LINK = re.compile(r"<code>(.*?)</code>|\[([^\]]+)\]\(#[^)]*\)", re.DOTALL)  # to anchors that Markdown does not make


def page() -> str:
    """Return the page in Markdown."""
    loader = griffe.GriffeLoader(
        search_paths=[Path(cmvc.__file__).parents[1]], docstring_parser="google", allow_inspection=False
    )
    package = loader.load("cmvc")
    loader.resolve_aliases()
    return _TITLE + "\n".join(_section(package[name]) for name in cmvc.__all__ if not name.startswith("_"))


def _section(found: griffe.Object | griffe.Alias) -> str:
    thing = found.final_target if isinstance(found, griffe.Alias) else found
    return _LINK.sub(_plain, render_object_docs(thing, _CONFIG)).rstrip() + "\n"


def _plain(match: re.Match[str]) -> str:
    if match[1] is not None:
        return f"`{_LINK.sub(_plain, match[1])}`"
    return match[2]


if __name__ == "__main__":
    click.echo(page(), nl=False)
