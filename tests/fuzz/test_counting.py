"""What libFuzzer says of a run is added up right, also where it is ended from outside."""

import pytest

pytest.importorskip("coverage")  # comes with atheris, by make fuzz

from fuzz.__main__ import executions


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        (["#2 INITED cov: 3\n", "#1024\tNEW cov: 4 ft: 9\n", "Done 5000 runs in 7 second(s)\n"], 5000),
        (["#4096\tpulse  cov: 4\n", "==7== libFuzzer: run interrupted; exiting\n"], 4096),
        (["Done 9 runs in 1 second(s)\n", "stat::number_of_executed_units: 12\n"], 12),
        (["INFO: Loaded\n"], 0),
    ],
)
def test_executions_are_the_most_that_was_said(lines, count, capsys):
    assert executions(lines) == count
    assert capsys.readouterr().err == "".join(lines)
