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
NATIVE = ("segment", "media")  # dav1d or FFmpeg runs, and a process may be started
HANG_SECONDS = 1  # the clock's, as libFuzzer counts
NATIVE_HANG_SECONDS = 5


def main(name: str, seconds: str, runs: str) -> None:
    """Fuzz; inputs that find new ways through go to build/fuzz, and so does what fails."""
    logging.disable()
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return mutated(name, data, lambda part: bytes(atheris.Mutate(part, len(part) + 64)), rng)[:most]

    hang = NATIVE_HANG_SECONDS if name in NATIVE else HANG_SECONDS
    limits = ["-rss_limit_mb=2048", f"-timeout={hang}", "-max_len=16384", f"-max_total_time={seconds}"]
    limits += [f"-runs={runs}", "-print_final_stats=1"]
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={found}/failed-", str(found), str(CORPUS / name)]
    atheris.Setup(arguments, lambda data: bool(run(name, data)) and None, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
