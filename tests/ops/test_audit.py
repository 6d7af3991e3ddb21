"""The pins have no known vulnerabilities, and an audit of nothing does not pass for one."""

import json
import os

import pytest
from audit import NoDatabaseError, audit, findings

CLEAN = {"name": "attrs", "version": "26.1.0", "vulns": []}
SKIPPED = {"name": "cmvc-sdk", "skip_reason": "Dependency not found"}
KNOWN = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


def report(*dependencies):
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_advisories_and_gaps_are_findings():
    assert findings(report(CLEAN)) == []
    assert findings(report(CLEAN, KNOWN)) == ["old 1.0: PYSEC-1; fixed in: 1.1"]
    assert findings(report(CLEAN, SKIPPED)) == ["not audited: Dependency not found"]


@pytest.mark.parametrize("dependencies", [(), (SKIPPED, SKIPPED)])
def test_where_nothing_was_looked_up_there_was_no_audit(dependencies):
    with pytest.raises(NoDatabaseError):
        findings(report(*dependencies))


def test_no_pin_has_a_known_vulnerability():
    try:
        found = audit()
    except NoDatabaseError as error:
        if os.environ.get("CMVC_AUDIT") == "required":
            raise
        pytest.skip(f"no advisory database is reached ({error}); CMVC_AUDIT=required makes this a failure")
    assert not found
