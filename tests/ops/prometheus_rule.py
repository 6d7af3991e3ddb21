"""Writes the rules as the Prometheus operator takes them: ``make prometheus-rule``."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/monitoring/rules/cmvc.yml"
WRITTEN = ROOT / "deploy/k8s/components/prometheus-operator/rules.yaml"
HEAD = """\
# Written by `make prometheus-rule` from deploy/monitoring/rules/cmvc.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: cmvc
  namespace: cmvc
spec:
"""


def main() -> None:
    """Write them."""
    spec = yaml.safe_dump(yaml.safe_load(RULES.read_text()), sort_keys=False, width=120)
    WRITTEN.write_text(HEAD + "".join(f"  {line}\n" for line in spec.splitlines()))


if __name__ == "__main__":
    main()
