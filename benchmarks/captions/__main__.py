"""``python -m benchmarks.captions [--set NAME=FILE ...]``: bytes per caption of each coder.

Sets: the captions of a TT2V stream at 1 kbit/s of each dev clip, by the ``embedded`` extractor; and the captions of
``mllm.txt`` beside this file, which no coder was trained on. ``--set`` adds files of the same kind: captions of one or
more lines, with an empty line between them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import zstandard

from benchmarks.clips import shared_clips
from benchmarks.report import RESULTS, markdown, save
from cmvc.bitstream.caption_coder import pack_caption
from cmvc.bitstream.caption_primer import primer, read, weights
from cmvc.bitstream.text import TextCoder, decode_text, encode_text, pack_brotli
from cmvc.bitstream.words import pack_words
from cmvc.client import Client
from cmvc.settings import encode_config

mpl.use("Agg")

from matplotlib import pyplot as plt

HERE = Path(__file__).parent
RATE = 1000  # bit/s, of the streams whose captions are taken
DICTIONARY_BYTES = 16 << 10  # of zstd, trained: from 8 KiB on, the size moves the result by less than 1 %
COMMAND = "python -m benchmarks.captions"


@dataclass(frozen=True)
class Coder:
    """One way to code a text: ``pack`` gives None for a text that it cannot code."""

    name: str
    pack: Callable[[str], bytes | None]
    unpack: Callable[[bytes], str]


def registered(coder: TextCoder, pack: Callable[[str], bytes | None]) -> Coder:
    """Return a coder of the format, the byte that names it included."""

    def named(text: str) -> bytes | None:
        data = pack(text)
        return None if data is None else bytes([coder]) + data

    return Coder(f"{coder.name.lower()} ({coder.value})", named, decode_text)


def zstd(name: str, dictionary: zstandard.ZstdCompressionDict | None) -> Coder:
    """Return zstd at its strongest, without magic number, sizes and checksum; a byte is counted to name it."""
    bare = zstandard.ZstdCompressionParameters.from_level(
        22, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=0, write_checksum=0, write_dict_id=0
    )
    packer = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=bare)
    reader = zstandard.ZstdDecompressor(dict_data=dictionary, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    return Coder(
        name,
        lambda text: b"z" + packer.compress(text.encode()),
        lambda data: reader.decompress(data[1:], max_output_size=1 << 16).decode(),
    )


def coders() -> list[Coder]:
    """Return the coders of the format, and zstd, whose dictionary is made of what the caption coder learns from."""
    samples: list[bytes | bytearray | memoryview] = [each for each in read("captions.txt").split(b"\n\n") if each]
    trained = zstandard.train_dictionary(DICTIONARY_BYTES, samples, level=22)
    whole = read("vocabulary.txt") + read("captions.txt")
    raw = zstandard.ZstdCompressionDict(whole, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return [
        registered(TextCoder.PLAIN, str.encode),
        registered(TextCoder.BROTLI, lambda text: pack_brotli(text.encode())),
        zstd("zstd", None),
        zstd("zstd, trained dictionary", trained),
        zstd("zstd, primer as dictionary", raw),
        registered(TextCoder.WORDS, pack_words),
        registered(TextCoder.CAPTION, pack_caption),
        Coder("best of the format", encode_text, decode_text),
    ]


def grammar_captions(clips: Sequence[Path]) -> list[str]:
    """Return the captions of a TT2V stream of each clip."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / "clip.cmvc"
        for clip in clips:
            client = Client()
            client.encode(clip, stream, encode_config(mode="tt2v", bitrate=RATE))
            found += [segment["text"] for segment in client.inspect(stream)["segments"] if segment["text"]]
    return found


def captions_of(path: Path) -> list[str]:
    """Return the captions of a file, between which there are empty lines."""
    return path.read_text().rstrip("\n").split("\n\n")


def measure(coder: Coder, texts: Sequence[str]) -> dict[str, Any] | None:
    """Return bytes and CPU time of ``texts`` under one coder; None where it cannot code all of them."""
    start = time.process_time()
    packed = [coder.pack(text) for text in texts]
    middle = time.process_time()
    whole = [data for data in packed if data is not None]
    if len(whole) < len(texts):
        return None
    if [coder.unpack(data) for data in whole] != list(texts):
        raise RuntimeError(f"{coder.name} does not give back what it was given")
    end = time.process_time()
    sizes = [len(data) for data in whole]
    return {
        "mean": statistics.mean(sizes),
        "min": min(sizes),
        "median": statistics.median(sizes),
        "max": max(sizes),
        "total": sum(sizes),
        "bits_per_character": 8 * sum(sizes) / sum(map(len, texts)),
        "encode_ms": 1000 * (middle - start) / len(texts),
        "decode_ms": 1000 * (end - middle) / len(texts),
    }


def table(results: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return the Markdown table of one set."""
    rows = []
    for name, got in results.items():
        if got is None:
            rows.append([name, *["-"] * 8])
            continue
        whole = [f"{got[key]:g}" for key in ("min", "median", "max", "total")]
        times = [f"{got[key]:.2f}" for key in ("bits_per_character", "encode_ms", "decode_ms")]
        rows.append([name, f"{got['mean']:.1f}", *whole, *times])
    columns = ["coder", "mean bytes", "min", "median", "max", "total", "bit/character", "encode ms", "decode ms"]
    return markdown(columns, rows)


def draw(results: Mapping[str, Mapping[str, Mapping[str, Any] | None]], path: Path) -> None:
    """Draw mean bytes per caption as bars, one panel per set."""
    figure, panels = plt.subplots(1, len(results), figsize=(5.5 * len(results), 3.2), squeeze=False, sharey=True)
    for panel, (name, coders_of) in zip(panels[0], results.items(), strict=True):
        means = {coder: got["mean"] for coder, got in reversed(list(coders_of.items())) if got}
        shown = {coder: means.get(coder, 0) for coder in reversed(list(coders_of))}
        bars = panel.barh(list(shown), list(shown.values()), color=["C1" if "best" in each else "C0" for each in shown])
        panel.bar_label(bars, [f"{value:.0f}" if value else "cannot" for value in shown.values()], padding=3)
        panel.set(title=name, xlabel="mean bytes per caption")
        panel.margins(x=0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog=COMMAND)
    parser.add_argument("--set", metavar="NAME=FILE", action="append", default=[], help="more captions; repeatable")
    options = parser.parse_args()
    clips = shared_clips()
    sets = {f"scene grammar, {len(clips)} dev clips": grammar_captions(clips)} if clips else {}
    sets["MLLM style"] = captions_of(HERE / "mllm.txt")
    sets |= {name: captions_of(Path(file)) for name, file in (each.split("=", 1) for each in options.set)}

    start = time.process_time()
    primer(), weights()
    primed = 1000 * (time.process_time() - start)
    results = {name: {c.name: measure(c, texts) for c in coders()} for name, texts in sets.items()}
    parts = [f"`{COMMAND}`\n"]
    for name, texts in sets.items():
        parts.append(f"## {name}: {len(texts)} captions\n\n{table(results[name])}\n")
    parts.append(
        "Bytes include the one that names the coder. Times are CPU time per caption. A dash: the coder cannot code "
        f"such texts. The caption coder reads its primer once per process, in {primed:.0f} ms.\n\n"
        "![Mean bytes per caption](captions.png)"
    )
    save("captions", "\n".join(parts), {"command": COMMAND, "primer_ms": primed, "sets": results})
    draw(results, RESULTS / "captions.png")


if __name__ == "__main__":
    main()
