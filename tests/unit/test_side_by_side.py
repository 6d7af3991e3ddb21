"""What the tests share is made once, although two processes run them."""

import pytest


def test_the_tests_of_a_file_run_in_one_process(request, pytestconfig):
    if not getattr(pytestconfig.option, "loadgroup", False):
        pytest.skip("tests are not run side by side")
    assert request.node.nodeid.endswith("@test_side_by_side"), "pytest-xdist does not group; see the pin of pytest"
