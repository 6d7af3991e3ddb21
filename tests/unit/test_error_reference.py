"""Every reason of an error is in the protos and in docs/errors.md, and nothing else is."""

from pathlib import Path

import pytest

from cmvc.cli.error_reference import page, paragraphs
from cmvc.errors import CmvcError, error_classes
from cmvc.v1 import errors_pb2

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_errors_say():
    assert (ROOT / "docs/errors.md").read_text() == page(), "run: make errors"


def test_the_enum_has_every_reason():
    names = set(errors_pb2.ErrorReason.keys())
    assert names == {f"ERROR_REASON_{reason}" for reason in (*error_classes(), "UNSPECIFIED")}


@pytest.mark.parametrize("kind", error_classes().values(), ids=lambda kind: kind.__name__)
def test_every_error_says_what_is_wrong_and_what_to_do(kind):
    wrong, remedy = paragraphs(kind)
    assert wrong.endswith(".")
    assert remedy.endswith(".")


def test_a_class_without_a_reason_of_its_own_is_not_another_reason():
    assert all(issubclass(kind, CmvcError) and kind.reason == reason for reason, kind in error_classes().items())
