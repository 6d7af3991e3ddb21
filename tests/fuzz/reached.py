"""``python -m fuzz.reached [TARGET] [--keep FOLDER]``: which lines the corpus reaches of what a target is there to try.

``make fuzz-coverage`` says it of all targets. With ``--keep`` the corpus takes those inputs of a folder, such as
``build/fuzz/stream``, that reach lines which it does not, smallest first.
"""

import hashlib
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import coverage

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
PACK, MEDIA, DECODER = "cmvc/bitstream/av1pack", "cmvc/media", "services/decoder/cmvc_decoder"
FILES = {
    "stream": ("cmvc/bitstream/{stream,packets,header,index,work,segments,repeated_text,audio,cut,inspect}.py",),
    "payload": (
        f"{PACK}/{{bits,coding,expect_*,expectation,filters,first_headers,frame_*,global_motion,grain,history}}.py",
        f"{PACK}/{{kinds,model,odds,payload,primed,quantisation,reading,references,sequence_header,state}}.py",
        f"{PACK}/{{stream,symbols,tiles}}.py",
    ),
    "text": ("cmvc/bitstream/{text,words,caption_coder}.py",),
    "motion": ("cmvc/motion/track.py",),
    "segment": (f"{DECODER}/{{conditions,generator,upscale}}.py", "cmvc/motion/warp.py", f"{MEDIA}/av1.py"),
    "media": (
        f"{MEDIA}/{{opening,spool,probe,demux,lanes,survey,decode,reader,continuity,soundtrack,cadence}}.py",
        f"{MEDIA}/{{timeline,convert,orientation,audio}}.py",
    ),
    "answers": (f"{MEDIA}/isolated/{{conversation,messages,reader}}.py",),
}
"""What each target is there to try: files of the repository."""
WRITERS = {
    "stream": r"class (StreamWriter|LeadIn)\b|def (serialise|check_size|frame_packet|new_segment|pack_\w+|part_\w+)\b",
    "payload": r"class (BitWriter|Packing)\b|def (write|_write_\w+|pack|packed|packed_size|leb128|_distance|same)\b",
    "text": r"class _Echo\b|def (encode_text|pack_\w+|normalise)\b",
    "segment": r"def (encode|_encode|_settings|_check_pictures)\b",
    "motion": r"class ExactField\b|def (encode_track|write_track|_exactly|_residual)\b",
    "answers": r"def (pack\w*|_hex|open_isolated|warm_up|close|end|__exit__)\b",
}
"""What of these files is given nothing hostile: most of it writes."""


def files_of(target: str) -> list[str]:
    """Return the files that a target is there to try."""
    found = []
    for pattern in FILES[target]:
        head, _, rest = pattern.partition("{")
        names, _, tail = rest.partition("}")
        for name in names.split(",") if rest else [""]:
            found += sorted(map(str, ROOT.glob(head + name + tail)))
    return found


class Reached:
    """Lines that inputs of a target reach; its modules are not imported before it is made."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.files = files_of(target)
        self._coverage = coverage.Coverage(data_file=None, include=self.files, config_file=False, messages=False)
        self._coverage.exclude(r"\.\.\.$")
        if target in WRITERS:
            self._coverage.exclude(rf"^\s*({WRITERS[target]})")
        self._coverage.start()
        from fuzz import targets  # noqa: PLC0415 - what importing it runs counts

        targets.ISOLATED = False  # what runs in another process is not seen
        self._run = targets.run

    def add(self, inputs: Iterable[bytes]) -> None:
        """Run inputs."""
        for data in inputs:
            self._run(self._target, data)

    def missing(self) -> dict[str, set[int]]:
        """Return the lines of each file that were not reached."""
        data = self._coverage.get_data()
        return {file: lines - set(data.lines(file) or ()) for file, lines in self.lines.items()}

    @cached_property
    def lines(self) -> dict[str, set[int]]:
        """Lines of each file that are there to be reached; a statement is its first line."""
        found = {}
        for file in self.files:
            _, statements, _, _ = self._coverage.analysis(file)
            found[file] = set(statements)
        return found


def corpus_of(target: str) -> Iterator[bytes]:
    """Yield the inputs of the corpus."""
    yield from (path.read_bytes() for path in sorted((CORPUS / target).iterdir()))


def tell(target: str) -> None:
    """Print what share of its lines a target's corpus reaches, and which it does not."""
    reached = Reached(target)
    reached.add(corpus_of(target))
    missing, lines = reached.missing(), sum(map(len, reached.lines.values()))
    left = sum(map(len, missing.values()))
    print(f"{target}: {lines - left} of {lines} lines, {100 * (1 - left / lines):.1f} %")
    for file, each in missing.items():
        if each and "-v" in sys.argv:
            print(f"  {Path(file).relative_to(ROOT)}: {', '.join(map(str, sorted(each)))}")


def keep(target: str, folder: Path) -> None:
    """Copy those inputs of a folder to the corpus that reach lines which it does not."""
    reached = Reached(target)
    reached.add(corpus_of(target))
    left = sum(map(len, reached.missing().values()))
    for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        reached.add([data])
        now = sum(map(len, reached.missing().values()))
        if now < left:
            shutil.copyfile(path, CORPUS / target / hashlib.sha256(data).hexdigest()[:12])
            print(f"{target}: {path.name} reaches {left - now} more")
            left = now


def main(arguments: list[str]) -> None:
    """See the module."""
    logging.disable()
    names = [each for each in arguments if re.fullmatch(r"[a-z]+", each) and each in FILES]
    if "--keep" in arguments:
        keep(names[0], Path(arguments[arguments.index("--keep") + 1]))
    elif len(names) == 1:
        tell(names[0])
    else:
        for name in names or FILES:
            subprocess.run([sys.executable, "-m", "fuzz.reached", name, *arguments], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
