"""Kustomize's output, and questions to it."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
K8S = ROOT / "deploy" / "k8s"
OLDEST = (1, 27)


@cache
def why_not():
    """Return why nothing can be rendered here, or ""."""
    if not shutil.which("kubectl"):
        return "kubectl is not installed"
    done = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True, check=True)
    version = json.loads(done.stdout)["clientVersion"]["gitVersion"]
    found = tuple(map(int, re.match(r"v(\d+)\.(\d+)", version).groups()))
    return "" if found >= OLDEST else f"kubectl is {version}; 1.27 or newer is needed"


def render(folder):
    """Return the resources that kustomize makes of a folder."""
    if reason := why_not():
        pytest.skip(reason)
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # warnings of deprecated fields
    return list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))


def pod_templates(resources):
    """Yield each pod's name and spec."""
    for each in resources:
        template = (
            each.get("spec", {}).get("template") if each["kind"] in {"Deployment", "StatefulSet", "Job"} else None
        )
        if template:
            yield f"{each['kind']}/{each['metadata']['name']}", template


def containers(template):
    """Return all containers of a pod, those that run first included."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def by_name(resources, kind, name):
    """Return the one resource of that kind and name."""
    (found,) = [each for each in resources if each["kind"] == kind and each["metadata"]["name"] == name]
    return found
