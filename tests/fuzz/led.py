"""``python -m fuzz.led TARGET SECONDS RUNS``: looks for what a target does wrong, led by coverage, until stopped."""

import logging
import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cmvc", "cmvc_decoder"]):
    from fuzz.mutation import mutated
    from fuzz.targets import run

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("build/fuzz")


def main(name: str, seconds: str, runs: str) -> None:
    """Fuzz; inputs that find new ways through go to build/fuzz, and so does what fails."""
    logging.disable()
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return mutated(name, data, lambda part: bytes(atheris.Mutate(part, len(part) + 64)), rng)[:most]

    limits = ["-rss_limit_mb=2048", "-timeout=5", "-max_len=16384", f"-max_total_time={seconds}", f"-runs={runs}"]
    limits.append("-print_final_stats=1")
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={found}/failed-", str(found), str(CORPUS / name)]
    atheris.Setup(arguments, lambda data: bool(run(name, data)) and None, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
