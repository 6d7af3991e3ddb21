"""Adapters (LoRA) on disk: small changes to a profile's model, each in a folder of its own.

``<store>/<profile id>/adapters/<name>/`` holds ``pytorch_lora_weights.safetensors`` and ``adapter.json``, which says
what it is. A stream names an adapter in its profile table, and which file exactly by the first bytes of its SHA-256.

Whatever shapes frames is in the weights' file, so that its hash stands for them: alpha, too, in the file's own metadata
(diffusers' ``lora_adapter_metadata``). ``adapter.json`` repeats it for people and has to agree.
"""

import json
import math
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cmvc.errors import AdapterMismatchError, InvalidSettingError, MissingWeightsError
from cmvc.files import whole_file
from cmvc.settings import ADAPTER_HASH_BYTES, ADAPTER_NAME
from cmvc_decoder.weights.digests import sha256_of

FOLDER = "adapters"
WEIGHTS = "pytorch_lora_weights.safetensors"
RECORD = "adapter.json"
INTERPOLATION, FEW_STEPS = "interpolation", "few-steps"
KINDS = (INTERPOLATION, FEW_STEPS)
METADATA = "lora_adapter_metadata"  # where diffusers keeps r and lora_alpha in a safetensors file
MOST_BYTES = 2 << 30  # of weights; rank 128 of a model of 1.3 billion weights is a quarter of that
MOST_RANK = 512
_MOST_RECORD_BYTES = 1 << 16
_MOST_HEADER_BYTES = 1 << 23  # of a safetensors file
_MOST_TEXT = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TENSOR = re.compile(r"(transformer|unet)\.([A-Za-z0-9_.]+)\.lora_([AB])\.weight")
_PLAIN = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save")


@dataclass(frozen=True)
class Adapter:
    """What ``adapter.json`` says.

    Attributes:
        name: of the adapter and its folder; a-z, 0-9, ``.``, ``_``, ``-``.
        profile: whose model it changes.
        revision: of that profile.
        kind: what it was tuned for; one of ``KINDS``.
        sha256: of the weights' file, 64 hexadecimal digits.
        rank: of every one of its matrices.
        alpha: their product counts alpha / rank times.
        steps: of training.
        base: what it was tuned on, or where it is from, such as a repository and its commit.
        licence: of its weights; "" for that of what it was tuned on.
    """

    name: str
    profile: str
    revision: str
    kind: str
    sha256: str
    rank: int
    alpha: float
    steps: int
    base: str
    licence: str = ""

    @property
    def short(self) -> bytes:
        """What a stream carries of the hash, 8 bytes."""
        return bytes.fromhex(self.sha256)[:ADAPTER_HASH_BYTES]

    @property
    def label(self) -> str:
        """``NAME@HASH``, as ``cmvc encode --adapter`` takes it."""
        return f"{self.name}@{self.short.hex()}"


@dataclass(frozen=True)
class Layout:
    """What the header of a weights' file says.

    Attributes:
        part: of the pipeline that it changes, ``transformer`` or ``unet``.
        modules: of that part, with the shapes of their two matrices: A is (rank, inputs…), B (outputs, rank…).
        rank: of all of them.
        alpha: as above.
    """

    part: str
    modules: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    rank: int
    alpha: float


def adapter_folder(profile_folder: Path, name: str) -> Path:
    """Return where the adapter ``name`` of a profile is or belongs.

    Args:
        profile_folder: ``<store>/<profile id>``.
        name: of the adapter.

    Raises:
        InvalidSettingError: the name is none, such as one that leads elsewhere.
    """
    return profile_folder / FOLDER / checked_name(name)


def checked_name(name: str) -> str:
    """Return ``name`` if it is one.

    Raises:
        InvalidSettingError: it is not.
    """
    if not ADAPTER_NAME.fullmatch(name):
        raise InvalidSettingError(
            f"'{name[:80]}' is no name of an adapter; use a-z, 0-9, '.', '_' and '-', at most 64, the first of a-z, 0-9"
        )
    return name


def read_adapter(folder: Path) -> Adapter:
    """Return what an adapter's folder says of itself. The weights are not read: see ``verify_adapter``.

    Raises:
        MissingWeightsError: files are missing, or ``adapter.json`` is none.
    """
    path = folder / RECORD
    try:
        size, weights = path.stat().st_size, (folder / WEIGHTS).stat().st_size
        text = path.read_bytes() if size <= _MOST_RECORD_BYTES else b""
    except OSError as error:
        raise MissingWeightsError(f"{folder} is no adapter: {error.strerror}: {error.filename}") from error
    if not 0 < weights <= MOST_BYTES:
        raise MissingWeightsError(f"{folder / WEIGHTS} has {weights} bytes; an adapter has 1 to {MOST_BYTES}")
    try:
        adapter = _parsed(json.loads(text))
    except (ValueError, RecursionError) as error:  # also text that is no UTF-8 or no JSON
        raise MissingWeightsError(f"{path} does not describe an adapter: {error}; install it again") from error
    if adapter.name != folder.name:
        raise MissingWeightsError(f"{path} is that of the adapter '{adapter.name}'; its folder has to be called so")
    return adapter


def verify_adapter(folder: Path, adapter: Adapter) -> Layout:
    """Read an adapter's weights file and compare it with what its record says; return its layout.

    Raises:
        AdapterMismatchError: it is another file than the record says.
        MissingWeightsError: it is not there, or no adapter of the form that is known here.
    """
    path = folder / WEIGHTS
    try:
        sha256 = sha256_of(path, lambda _: None)
        layout = read_layout(path)
    except OSError as error:
        raise MissingWeightsError(f"{folder} is no adapter: {error.strerror}: {error.filename}") from error
    if sha256 != adapter.sha256:
        raise AdapterMismatchError(
            f"{path} has the hash {sha256[:16]}, but its {RECORD} says {adapter.sha256[:16]}: one of them has changed "
            "since it was installed; install the adapter again"
        )
    if (layout.rank, layout.alpha) != (adapter.rank, adapter.alpha):
        raise AdapterMismatchError(
            f"{path} has rank {layout.rank} and alpha {layout.alpha:g}, but its {RECORD} says {adapter.rank} and "
            f"{adapter.alpha:g}; install the adapter again"
        )
    return layout


def read_layout(path: Path) -> Layout:
    """Return the layout of a weights' file: its header is read, its numbers are not.

    Raises:
        MissingWeightsError: it is no safetensors file, or not of pairs of LoRA matrices of one rank.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        text = file.read(size) if size <= _MOST_HEADER_BYTES else b""
    try:
        header = json.loads(text)
        metadata = json.loads(header.pop("__metadata__", {}).get(METADATA, "{}"))
        if max(facts["data_offsets"][1] for facts in header.values()) != path.stat().st_size - 8 - size:
            raise ValueError("it is cut off, or has more than its header says")
        return _layout({name: tuple(facts["shape"]) for name, facts in header.items()}, metadata)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise MissingWeightsError(f"{path} is no adapter that can be used here: {error}") from error


def write_adapter(
    folder: Path,
    *,
    profile: str,
    revision: str,
    steps: int,
    base: str,
    kind: str = INTERPOLATION,
    licence: str = "",
) -> Adapter:
    """Describe the weights that stand in ``folder``, so that it can be installed; return what was written.

    ``folder`` holds ``WEIGHTS`` as diffusers' ``save_lora_weights`` writes it, its ``…_lora_adapter_metadata`` given
    (without it alpha is the rank). Its name becomes the adapter's; hash, rank and alpha are read from the file.

    Args:
        folder: of the weights.
        profile: id of the profile whose model they change.
        revision: of that profile.
        steps: of training.
        base: what they were tuned on; at most 200 characters.
        kind: what for.
        licence: of the weights; "" for that of ``base``.

    Raises:
        InvalidSettingError: a value is none that a record may have, or the folder's name none of an adapter.
        MissingWeightsError: the weights are not there, or not of a form that is known here.
        OSError: the record cannot be written.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise MissingWeightsError(f"there is no {path}; save the adapter's weights first")
    layout = read_layout(path)
    facts = {
        "name": checked_name(folder.name),
        "profile": profile,
        "revision": revision,
        "kind": kind,
        "sha256": sha256_of(path, lambda _: None),
        "rank": layout.rank,
        "alpha": layout.alpha,
        "steps": steps,
        "base": base,
        "licence": licence,
    }
    try:
        adapter = _parsed(facts)
    except ValueError as error:
        raise InvalidSettingError(f"the adapter cannot be described so: {error}") from error
    with whole_file(folder / RECORD) as file:
        file.write(json.dumps(asdict(adapter), indent=2).encode() + b"\n")
    return adapter


def install(source: Path, root: Path) -> Adapter:
    """Copy an adapter's folder into the model store, in place of one of the same name; return what it is.

    It appears under its name once it is whole, and only if its weights are what its record says.

    Args:
        source: the folder; it must be called as the adapter.
        root: of the model store.

    Raises:
        AdapterMismatchError, MissingWeightsError: see ``verify_adapter``.
        OSError: it cannot be copied.
    """
    adapter = read_adapter(source)
    folder = adapter_folder(root / adapter.profile, adapter.name)
    part = folder.parent / f".{adapter.name}.{secrets.token_hex(4)}.part"
    part.mkdir(parents=True)
    try:
        for name in (WEIGHTS, RECORD):
            shutil.copyfile(source / name, part / name)
        verify_adapter(part, adapter)
        if folder.exists():
            folder.rename(old := part.with_suffix(".old"))
            part.rename(folder)
            shutil.rmtree(old)
        else:
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return adapter


def installed(profile_folder: Path) -> list[Adapter]:
    """Return a profile's adapters by name, but for those that cannot be read: see ``adapter_folders``."""
    found = []
    for folder in adapter_folders(profile_folder):
        with suppress(MissingWeightsError):
            found.append(read_adapter(folder))
    return found


def adapter_folders(profile_folder: Path) -> list[Path]:
    """Return the folders of a profile's adapters by name, whatever is in them."""
    return sorted(each for each in (profile_folder / FOLDER).glob("*") if ADAPTER_NAME.fullmatch(each.name))


def find_adapter(profile_folder: Path, revision: str, name: str, short: bytes) -> Adapter:
    """Return the adapter that a stream asks for, or that the operator named.

    Args:
        profile_folder: ``<store>/<profile id>``.
        revision: of the profile, as it is served here.
        name: of the adapter; "" to find it by its hash.
        short: first bytes of its hash; empty to take the one of that name, whichever it is.

    Raises:
        AdapterMismatchError: the one of that name is another, or made for another profile or revision.
        InvalidSettingError: the name is none.
        MissingWeightsError: it is not installed, or not whole.
    """
    adapter = _named(profile_folder, name, short) if name else _hashed(profile_folder, short)
    if short and adapter.short != short:
        raise AdapterMismatchError(
            f"the stream was made for the adapter '{name}' with the hash {short.hex()}, installed here is "
            f"{adapter.short.hex()}; install the stream's in {profile_folder / FOLDER / name}, or decode with another "
            "--profile"
        )
    if (adapter.profile, adapter.revision) != (profile_folder.name, revision):
        raise AdapterMismatchError(
            f"the adapter {adapter.label} is for {adapter.profile} revision {adapter.revision}, served here is "
            f"{profile_folder.name} revision {revision}; install one that was made for it"
        )
    return adapter


def _named(profile_folder: Path, name: str, short: bytes) -> Adapter:
    folder = adapter_folder(profile_folder, name)
    if not folder.is_dir():
        raise _missing(profile_folder, f"{name}@{short.hex()}" if short else name, name)
    return read_adapter(folder)


def _hashed(profile_folder: Path, short: bytes) -> Adapter:
    found = next((each for each in installed(profile_folder) if each.short == short), None)
    if found is None:
        raise _missing(profile_folder, f"with the hash {short.hex()}", "NAME")
    return found


def _missing(profile_folder: Path, what: str, name: str) -> MissingWeightsError:
    here = ", ".join(each.label for each in installed(profile_folder)) or "none"
    return MissingWeightsError(
        f"the adapter {what} of {profile_folder.name} is not installed; installed: {here}; run 'cmvc models install "
        f"FOLDER', or copy its folder into the model store as {profile_folder.name}/{FOLDER}/{name}"
    )


def _parsed(facts: object) -> Adapter:
    """Return the adapter that JSON describes.

    Raises:
        ValueError: it describes none.
    """
    names = [each.name for each in fields(Adapter)]
    facts = {"licence": "", **facts} if isinstance(facts, dict) else {}  # records of 0.1.0 have no licence
    if sorted(facts) != sorted(names):
        raise ValueError(f"it needs {', '.join(names)}, and nothing else")
    for each in fields(Adapter):
        kinds = (int, float) if each.type is float else (each.type,)
        if type(facts[each.name]) not in kinds:
            raise ValueError(f"{each.name} is not of the type {getattr(each.type, '__name__', each.type)}")
    texts = [value for value in facts.values() if isinstance(value, str)]
    if any(len(text) > _MOST_TEXT or not text.isprintable() for text in texts):
        raise ValueError(f"a text has more than {_MOST_TEXT} characters, or some that cannot be printed")
    adapter = Adapter(**{**facts, "alpha": float(facts["alpha"])})
    for name in ("name", "profile"):
        if not ADAPTER_NAME.fullmatch(facts[name]):
            raise ValueError(f"its {name} is none")
    if adapter.kind not in KINDS:
        raise ValueError(f"the kind '{adapter.kind}' is not known; known: {', '.join(KINDS)}")
    if not _SHA256.fullmatch(adapter.sha256):
        raise ValueError("sha256 is not 64 hexadecimal digits")
    if not 1 <= adapter.rank <= MOST_RANK or adapter.steps < 0 or not _is_scale(adapter.alpha):
        raise ValueError(f"rank is not within 1..{MOST_RANK}, alpha not above 0, or steps below 0")
    return adapter


def _layout(shapes: Mapping[str, tuple[int, ...]], metadata: Mapping[str, Any]) -> Layout:
    matches = {name: _TENSOR.fullmatch(name) for name in shapes}
    if strange := [name for name, match in matches.items() if not match]:
        raise ValueError(f"its tensor '{strange[0][:_MOST_TEXT]}' is not PART.MODULE.lora_A.weight or lora_B")
    parts = {match[1] for match in matches.values() if match}
    if len(parts) != 1:
        raise ValueError(f"it has to change one part of a model, not {', '.join(sorted(parts)) or 'none'}")
    (part,) = parts
    names = dict.fromkeys(match[2] for match in matches.values() if match)
    modules = {name: (shapes[f"{part}.{name}.lora_A.weight"], shapes[f"{part}.{name}.lora_B.weight"]) for name in names}
    ranks = {rank for a, b in modules.values() for rank in (a[0], b[1])}
    if len(ranks) != 1:
        raise ValueError(f"its matrices have to be of one rank, not {sorted(ranks)}")
    (rank,) = ranks
    facts = {name.removeprefix(f"{part}."): value for name, value in metadata.items()}
    if kinds := [name for name in _PLAIN if facts.get(name)]:
        raise ValueError(f"it is LoRA with {', '.join(kinds)}; only plain LoRA is known here")
    alpha = float(facts.get("lora_alpha", rank))
    if facts.get("r", rank) != rank or not _is_scale(alpha):
        raise ValueError("its metadata do not fit its matrices")
    return Layout(part, modules, rank, alpha)


def _is_scale(alpha: float) -> bool:
    return math.isfinite(alpha) and alpha > 0
