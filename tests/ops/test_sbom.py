"""What images are made of is said whole, in documents that SPDX's own reader takes."""

import re
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docker"))
import sbom  # noqa: E402 - a script beside the Dockerfiles

IMAGES = sorted(path.name.partition(".")[0] for path in (ROOT / "docker").glob("*.Dockerfile"))


@pytest.fixture(scope="module", params=IMAGES)
def image(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("sbom") / f"{request.param}.spdx.json"
    sbom.main(request.param, str(path))
    return request.param, parse_file(str(path))


def test_it_is_valid_and_says_the_base_image(image):
    name, document = image
    assert not validate_full_spdx_document(document)
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "docker" / f"{name}.Dockerfile").read_text(), re.MULTILINE)
    assert base in {f"{each.name}:{each.version}" for each in document.packages}


def test_everything_that_is_installed_is_in_it_in_the_version_of_the_constraints(image):
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    pinned = {sbom.canonicalize_name(name): version for name, version in pinned.items()}
    name, document = image
    packages = {each.name: each for each in document.packages}
    assert f"cmvc-{'decoder' if name == 'triton' else name}" in packages
    installed = [each for each in packages if each in pinned]
    assert {"grpcio", "protobuf"} <= set(installed)
    for each in installed:
        assert packages[each].version == distribution(each).version


def test_what_pyav_carries_is_in_it_with_its_licences(image):
    name, document = image
    carried = {each.name: each.license_comment for each in document.packages}
    assert ("libx264" in carried) == (name not in {"gateway", "web"})
    if "libx264" in carried:
        assert "GPL-2.0-or-later" in carried["libx264"]


def test_every_distribution_has_a_licence_that_spdx_knows(image):
    _, document = image
    ours = [each for each in document.packages if each.spdx_id.startswith("SPDXRef-") and each.external_references]
    assert not [each.name for each in ours if str(each.license_declared) in {"NOASSERTION", "None"}]
