"""What fuzzing has found, and mutants of it, are read or refused as everything else."""

import random
import re
import zlib
from pathlib import Path

import pytest

from fuzz.mutation import blind, mutated, packets_of, stream_of
from fuzz.targets import TARGETS, run

CORPUS = Path(__file__).parent / "corpus"
FOUND = re.compile("[0-9a-f]{12}")  # the name of what was found, not made
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())
MUTANTS = {"stream": 15, "payload": 6, "text": 40, "motion": 40, "segment": 3, "media": 1, "answers": 20}  # of a file


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_is_read_or_refused(path):
    target, data = path.parent.name, path.read_bytes()
    run(target, data)
    rng = random.Random(zlib.crc32(data))  # the same every time
    for _ in range(MUTANTS[target]):
        run(target, mutated(target, data, lambda part: blind(part, rng), rng))


def test_every_target_has_seeds_that_it_takes():
    for target in TARGETS:
        assert any(run(target, path.read_bytes()) for path in FILES if path.parent.name == target), target


def test_a_stream_that_is_taken_apart_and_put_together_is_the_same():
    seeds = [path for path in FILES if path.parent.name == "stream" and not FOUND.fullmatch(path.name)]
    taken = [path for path in seeds if not path.name.startswith("v1-")]
    assert taken
    for path in taken:
        assert stream_of(packets_of(path.read_bytes())) == path.read_bytes() or not run("stream", path.read_bytes())


def test_mutants_get_past_the_checksums():
    rng = random.Random(1)
    data = (CORPUS / "stream" / "captions").read_bytes()
    made = [mutated("stream", data, lambda part: blind(part, rng), rng) for _ in range(40)]
    assert sum(run("stream", each) for each in made if each != data) > 4
