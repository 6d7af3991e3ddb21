"""The store says what is there and whole, and verification what is not."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import pytest

from cmvc.errors import MissingWeightsError
from cmvc.profiles.registry import model_profile
from cmvc.profiles.weights import Licence, Weights
from cmvc_decoder.weights.digests import git_blob_of
from cmvc_decoder.weights.store import FileRecord, Manifest, ModelStore, State, origin
from cmvc_decoder.weights.verify import Fault, size_of, verify

COMMIT = "a" * 40
WEIGHTS = Weights("base", "somebody/something", COMMIT, ("*.json",), 10, Licence("MIT", "", "https://x"), "a test")
MODELS = replace(model_profile("ltx-video"), id="some-profile", weights=(WEIGHTS,), made=("pipeline",))
FILES = {"config.json": b"{}", "unet/model.safetensors": b"0123456789"}


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


def put(store, name="base", commit=COMMIT):
    part = store.part(MODELS.id, name)
    for path, content in FILES.items():
        (part / path).parent.mkdir(parents=True, exist_ok=True)
        (part / path).write_bytes(content)
    records = {path: FileRecord(len(each), hashlib.sha256(each).hexdigest()) for path, each in FILES.items()}
    store.publish(MODELS.id, name, Manifest("somebody/something", commit, records))


def test_weights_are_missing_then_partly_there_then_ready(store):
    assert store.state(MODELS.id, WEIGHTS) is State.MISSING
    store.part(MODELS.id, "base").mkdir(parents=True)
    assert store.state(MODELS.id, WEIGHTS) is State.PARTIAL
    put(store)
    assert store.state(MODELS.id, WEIGHTS) is State.READY
    assert not store.part(MODELS.id, "base").exists()


@pytest.mark.parametrize("content", [None, b"shorter"])
def test_a_file_that_is_gone_or_of_another_size_is_damage(store, content):
    put(store)
    file = store.folder(MODELS.id, "base") / "unet/model.safetensors"
    file.unlink() if content is None else file.write_bytes(content)
    assert store.state(MODELS.id, WEIGHTS) is State.DAMAGED


def test_a_folder_without_manifest_is_damage(store):
    store.folder(MODELS.id, "base").mkdir(parents=True)
    assert store.state(MODELS.id, WEIGHTS) is State.DAMAGED


def test_another_commit_than_the_catalog_has_is_outdated(store):
    put(store, commit="b" * 40)
    assert store.state(MODELS.id, WEIGHTS) is State.OUTDATED


def test_a_profile_is_ready_with_its_weights_and_what_is_made_of_those_commits(store):
    put(store)
    assert not store.ready(MODELS)
    put(store, "pipeline", commit="made of another commit")
    assert not store.ready(MODELS)
    put(store, "pipeline", commit=origin(MODELS))
    assert store.ready(MODELS)


@pytest.mark.parametrize("text", ["", "[]", '{"repo": 1}', '{"repo": "r", "commit": "c", "files": {"a": {"size": 1}}}'])
def test_a_broken_manifest_is_named_with_what_to_do(store, text):
    put(store)
    (store.folder(MODELS.id, "base") / "manifest.json").write_text(text)
    with pytest.raises(MissingWeightsError, match=r"not a manifest .* run: cmvc models pull some-profile"):
        store.state(MODELS.id, WEIGHTS)


def test_publishing_replaces_what_stood_there(store):
    put(store, commit="b" * 40)
    (store.folder(MODELS.id, "base") / "left-over").touch()
    put(store)
    assert not (store.folder(MODELS.id, "base") / "left-over").exists()


def test_verification_reads_every_byte_and_names_every_fault(store):
    put(store)
    folder, manifest = store.folder(MODELS.id, "base"), store.manifest(MODELS.id, "base")
    read = []
    assert list(verify(folder, manifest, read.append)) == []
    assert sum(read) == size_of(manifest) == 12

    (folder / "unet/model.safetensors").write_bytes(b"0123456780")  # the same size
    (folder / "config.json").unlink()
    (folder / "unet/more.bin").touch()
    assert list(verify(folder, manifest, read.append)) == [
        Fault("config.json", "missing"),
        Fault("unet/model.safetensors", "changed"),
        Fault("unet/more.bin", "extra"),
    ]


def test_small_files_are_checked_by_the_hash_that_git_has(tmp_path):
    (tmp_path / "file").write_bytes(b"hello\n")
    assert git_blob_of(tmp_path / "file") == "ce013625030ba8dba906f756967f9e9ca394464a"  # of git hash-object


def test_the_command_waits_for_no_heavy_library():
    code = (
        "import sys, cmvc_decoder.models.command as command; "
        "sys.exit(', '.join({'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
