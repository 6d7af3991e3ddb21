"""A real Prometheus, with the project's own rules, for tests. `make test-ops` provides the programs."""

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from servers import PATIENCE_S

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/monitoring/rules/cmvc.yml"
UNPACKED = ROOT / ".prometheus/usr/bin"
_LISTENING = re.compile(r'msg="Listening on".* address=(\S+)')


def program(name: str) -> str:
    """Return where ``prometheus`` or ``promtool`` is."""
    found = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], str(UNPACKED)]))
    if not found:
        pytest.skip(f"there is no {name}; make test-ops provides it")
    return found


def promtool(*arguments: str | Path, text: str | None = None, content: bool = True) -> list[str]:
    """Run promtool, which has to be ``content`` or need not; return the lines that it says."""
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not content, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


class Prometheus:
    """Scrapes every second what ``watch`` names; keeps its data in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._targets = folder / "targets.json"
        self.watch({})
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{RULES}]\n"
            "scrape_configs:\n"
            "  - job_name: cmvc\n"  # each target names its own job
            f"    file_sd_configs: [{{files: [{self._targets}], refresh_interval: 1s}}]\n"
        )
        self._process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.url = f"http://{self._address()}"
        threading.Thread(target=self._drain, daemon=True).start()

    def _address(self) -> str:
        for line in self._process.stderr:
            self.lines.append(line)
            if match := _LISTENING.search(line):
                return match[1]
        raise AssertionError(f"Prometheus ended: {self.lines}")

    def _drain(self) -> None:
        self.lines.extend(self._process.stderr)

    def watch(self, jobs: dict[str, list[str]]) -> None:
        """Scrape these addresses from now on, by job."""
        unfinished = self._targets.with_suffix(".part")
        unfinished.write_text(
            json.dumps([{"targets": targets, "labels": {"job": job}} for job, targets in jobs.items()])
        )
        unfinished.replace(self._targets)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
