"""docs/api is what the docstrings say, and says something of everything that is public."""

from pathlib import Path

import cmvc
from cmvc.cli.api_reference import page

WRITTEN = (Path(__file__).parents[2] / "docs/api/README.md").read_text()


def test_the_page_is_up_to_date():
    assert page() == WRITTEN, "run: make api"


def test_every_public_name_has_a_section_with_prose():
    for name in cmvc.__all__:
        if not name.startswith("_"):
            _, _, section = WRITTEN.partition(f"\n## `{name}`\n")
            assert len(section.split("\n## ")[0].split()) > 10, name
