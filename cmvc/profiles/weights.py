"""Where the weights of a profile come from, and under which terms.

Facts were read from the repositories' pages and from public code that pins the same commits. Sizes are rounded; the
exact ones, with every file's SHA-256, come with the first pull and stay in the store (``cmvc_decoder.weights.store``).
"""

from dataclasses import dataclass

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Licence:
    """Terms of weights.

    Attributes:
        name: SPDX identifier where there is one.
        terms: what it asks for or forbids, in one sentence; the text at ``url`` is what counts.
        url: where the terms are.
    """

    name: str
    terms: str
    url: str


@dataclass(frozen=True)
class Weights:
    """One folder of the store, as it comes from one repository.

    Attributes:
        name: of the folder: ``<store>/<profile id>/<name>``.
        repo: ``owner/name`` on the hub.
        revision: commit, 40 hexadecimal digits.
        files: patterns of the paths needed; ``*`` matches ``/`` too. Each has to match.
        size: of all of them, in bytes, about.
        licence: terms of these files.
        purpose: what they are for.
        optional: whether the profile works without.
    """

    name: str
    repo: str
    revision: str
    files: tuple[str, ...]
    size: int
    licence: Licence
    purpose: str
    optional: bool = False
