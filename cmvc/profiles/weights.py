"""Where the weights of a profile come from, and under which terms.

Facts were read from the repositories' pages and from public code that pins the same commits. Sizes are rounded; the
exact ones, with every file's SHA-256, come with the first pull and stay in the store (``cmvc_decoder.weights.store``).
Repositories on GitHub are not asked: what they hold stands here.
"""

from dataclasses import dataclass

HUB = "https://huggingface.co"
GITHUB = "https://raw.githubusercontent.com"
FAST_VAE = "fast-vae"  # name of weights that decode latents, for the setting ``vae=fast``


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
class GitFile:
    """A file of a repository on GitHub.

    Attributes:
        path: in the repository.
        size: in bytes.
        blob: git's hash of it, 40 hexadecimal digits.
    """

    path: str
    size: int
    blob: str


@dataclass(frozen=True)
class Weights:
    """One folder of the store, as it comes from one repository.

    Attributes:
        name: of the folder: ``<store>/<profile id>/<name>``.
        repo: ``owner/name`` on the hub, or on GitHub where there is ``on_github``.
        revision: commit, 40 hexadecimal digits.
        files: patterns of the paths needed; ``*`` matches ``/`` too. Each has to match.
        size: of all of them, in bytes, about.
        licence: terms of these files.
        purpose: what they are for.
        optional: whether the profile works without.
        on_github: the files, where that is where they are.
    """

    name: str
    repo: str
    revision: str
    files: tuple[str, ...]
    size: int
    licence: Licence
    purpose: str
    optional: bool = False
    on_github: tuple[GitFile, ...] = ()
