"""Says what an image of CMVC is made of, as an SPDX document: ``python docker/sbom.py IMAGE OUT.spdx.json``.

What its Dockerfile installs, and all that this needs, is looked up in the environment that this runs in: ``make sbom``
has one with the versions of ``constraints.txt``, which are those of the image. Another platform than the image's may
need other distributions, as torch does for CUDA.
"""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from spdx_tools.spdx.model import (
    Actor,
    ActorType,
    CreationInfo,
    Document,
    ExternalPackageRef,
    ExternalPackageRefCategory,
    Package,
    Relationship,
    RelationshipType,
    SpdxNoAssertion,
)
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
from spdx_tools.spdx.writer.json.json_writer import write_document_to_file

ROOT = Path(__file__).parents[1]
DOCUMENT = "SPDXRef-DOCUMENT"
_PROJECTS = {".": "cmvc-sdk"}
_CARRIED = re.compile(r"^  (lib.+?)\s{2,}(.+)$", re.MULTILINE)  # a line of NOTICE: libraries, and their licence
_LICENCES = get_spdx_licensing()
_STATED = {  # what distributions without an SPDX expression say
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0 License": "Apache-2.0",
    "MIT License": "MIT",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
}


def installed_by(dockerfile: str) -> list[Requirement]:
    """Return what a Dockerfile has pip install of this repository, with the extras that it asks for by default."""
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    (command,) = re.findall(r"install --root-user-action.*?(?=\n[A-Z])", dockerfile, re.DOTALL)
    named = re.findall(r"(?<=\s)[\"']?(\./services/\w+|\.)(?:\[([^]]*)\])?[\"']?(?=\s|$)", command)
    return [Requirement(f"{_name(path)}[{_filled(extras, arguments)}]") for path, extras in named]


def _name(path: str) -> str:
    return _PROJECTS.get(path) or f"cmvc-{path.rpartition('/')[2]}"


def _filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text)


def closure(roots: list[Requirement]) -> dict[str, set[str]]:
    """Return the distributions that ``roots`` need, by canonical name, each with the names that it needs itself.

    Raises:
        PackageNotFoundError: one is not installed here.
    """
    found: dict[str, set[str]] = {}
    done: set[tuple[str, str]] = set()
    line = list(roots)
    while line:
        wanted = line.pop()
        name = canonicalize_name(wanted.name)
        found.setdefault(name, set())
        for extra in {"", *wanted.extras} - {extra for each, extra in done if each == name}:
            done.add((name, extra))
            for need in _needs(distribution(name), extra):
                found[name].add(canonicalize_name(need.name))
                line.append(need)
    return found


def _needs(installed: Distribution, extra: str) -> Iterator[Requirement]:
    for text in installed.requires or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": extra}):
            yield need


def licence(installed: Distribution) -> str:
    """Return the SPDX expression of a distribution; "" where it gives none that SPDX knows."""
    metadata = installed.metadata
    classified = [_STATED[each] for each in metadata.get_all("Classifier", []) if each in _STATED]
    free = metadata.get("License") or ""
    for text in (metadata.get("License-Expression"), _STATED.get(free, free), " AND ".join(classified)):
        try:
            if text and not _LICENCES.validate(text).errors:
                return str(_LICENCES.parse(text))
        except ExpressionError:
            continue
    return ""


def _package(name: str) -> Package:
    installed = distribution(name)
    stated = licence(installed)
    reference = ExternalPackageRef(
        ExternalPackageRefCategory.PACKAGE_MANAGER, "purl", f"pkg:pypi/{name}@{installed.version}"
    )
    return Package(
        spdx_id=f"SPDXRef-{name}",
        name=name,
        version=installed.version,
        download_location=SpdxNoAssertion(),
        files_analyzed=False,
        license_concluded=SpdxNoAssertion(),
        license_declared=_LICENCES.parse(stated) if stated else SpdxNoAssertion(),
        external_references=[reference],
    )


def _carried() -> Iterator[Package]:
    """Yield the libraries that PyAV's wheel carries, as ``NOTICE`` has them."""
    for names, licences in _CARRIED.findall((ROOT / "NOTICE").read_text()):
        for name in names.split(", "):
            yield Package(
                spdx_id=f"SPDXRef-av-{name}",
                name=name,
                download_location=SpdxNoAssertion(),
                files_analyzed=False,
                license_comment=licences,
            )


def document(image: str) -> Document:
    """Return the document of ``cmvc/IMAGE``."""
    dockerfile = (ROOT / "docker" / f"{image}.Dockerfile").read_text()
    base = re.findall(r"^ARG BASE_IMAGE=(\S+)$", dockerfile, re.MULTILINE)[0]
    roots = installed_by(dockerfile)
    needs = closure(roots)
    version = distribution("cmvc-sdk").version
    whole = Package(f"SPDXRef-image-{image}", f"cmvc/{image}", SpdxNoAssertion(), version=version, files_analyzed=False)
    below = Package(
        "SPDXRef-base", base.partition(":")[0], SpdxNoAssertion(), version=base.partition(":")[2], files_analyzed=False
    )
    carried = list(_carried()) if "av" in needs else []
    relations = [(DOCUMENT, RelationshipType.DESCRIBES, whole.spdx_id)]
    relations += [(whole.spdx_id, RelationshipType.DEPENDS_ON, below.spdx_id)]
    relations += [(whole.spdx_id, RelationshipType.CONTAINS, f"SPDXRef-{name}") for name in needs]
    relations += [
        (f"SPDXRef-{name}", RelationshipType.DEPENDS_ON, f"SPDXRef-{each}") for name in needs for each in needs[name]
    ]
    relations += [("SPDXRef-av", RelationshipType.CONTAINS, each.spdx_id) for each in carried]
    return Document(
        CreationInfo(
            "SPDX-2.3",
            DOCUMENT,
            f"cmvc/{image}",
            f"https://cmvc.invalid/spdx/{image}-{version}",
            [Actor(ActorType.TOOL, "cmvc-sbom")],
            datetime.now(UTC).replace(microsecond=0, tzinfo=None),
        ),
        [whole, below, *map(_package, sorted(needs)), *carried],
        relationships=[Relationship(*each) for each in relations],
    )


def main(image: str, out: str) -> None:
    """Write the document; end with 1 where it would not be valid."""
    made = document(image)
    wrong = [each.validation_message for each in validate_full_spdx_document(made)]
    if wrong:
        sys.exit("\n".join(wrong))
    write_document_to_file(made, out, validate=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
