"""The caption coder, beside a second decoder that is written after docs/bitstream.md and shares no code with it."""

import importlib.util
import json
import re
import threading
from contextlib import suppress
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvc.bitstream.caption_coder import CaptionModel, pack_caption, probability, unpack_caption
from cmvc.bitstream.caption_primer import END, History, primer, turn_case
from cmvc.bitstream.text import TextCoder, decode_text, encode_text, pack_brotli
from cmvc.errors import BitstreamError, LimitError
from cmvc.limits import DEFAULT_LIMITS
from cmvc.range_coder import BitEncoder, CorruptStreamError

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests" / "vectors" / "caption-coder.json").read_text())
PRIMER = files("cmvc.bitstream") / "primer"
UNSEEN = (ROOT / "benchmarks" / "captions" / "mllm.txt").read_text().rstrip("\n").split("\n\n")
PAGE = (ROOT / "docs" / "bitstream.md").read_text()

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
words = st.lists(
    st.sampled_from(["The", "the", "camera", "pans", "slowly.", "left,", "RED\nA", "ł", "7"]), max_size=12
).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(texts | words)
def test_any_text_comes_back(text):
    packed = pack_caption(text)
    assert unpack_caption(packed, len(text.encode())) == text.encode()
    if text:
        with pytest.raises(LimitError):
            unpack_caption(packed, len(text.encode()) - 1)
        assert decode_text(bytes([TextCoder.CAPTION]) + packed) == text


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_one_text_or_an_error(data):
    with suppress(BitstreamError, LimitError):
        text = decode_text(bytes([TextCoder.CAPTION]) + data)
        assert pack_caption(text) == data


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(UNSEEN[:5]), st.integers(0, 1 << 30), st.integers(1, 255))
def test_damage_is_found_or_decodes_to_another_text(text, place, change):
    packed = bytearray(pack_caption(text))
    packed[place % len(packed)] ^= change
    with suppress(BitstreamError, LimitError):
        assert decode_text(bytes([TextCoder.CAPTION]) + packed) != text


@pytest.mark.parametrize("text", ["", "A", UNSEEN[0]])
def test_other_bytes_behind_the_end_are_refused(text):
    packed = pack_caption(text)
    for extra in (b"\0", b"x", bytes(5), b"\xff" * 400):
        with pytest.raises(BitstreamError):
            unpack_caption(packed + extra, 4096)


def test_a_text_that_is_cut_off_is_refused():
    packed = pack_caption(UNSEEN[0])
    for size in range(len(packed)):
        with suppress(BitstreamError):  # a shorter text may well be coded by these bytes, but not this one
            assert unpack_caption(packed[:size], 4096) != UNSEEN[0].encode()
    with pytest.raises(BitstreamError, match="cut off"):
        unpack_caption(packed[:-6], 4096)


def test_bytes_that_are_not_utf_8_are_refused():
    coder, model = BitEncoder(), CaptionModel()
    for byte in (0xC3, 0x28, END):
        model.code(coder, byte)
    with pytest.raises(BitstreamError, match="utf-8"):
        decode_text(bytes([TextCoder.CAPTION]) + coder.finish())


def test_a_byte_that_is_guessed_may_not_be_spelt():
    class Contrary(CaptionModel):
        def hit(self, coder, number, hits, totals, hit):
            return super().hit(coder, number, hits, totals, False)

    coder = BitEncoder()
    with pytest.raises(CorruptStreamError, match="guessed"):
        Contrary().code(coder, ord("a"))
    with pytest.raises(BitstreamError):
        unpack_caption(coder.finish(), 4096)


def test_a_text_with_a_zero_takes_another_coder():
    assert pack_caption("a\0b") is None
    assert decode_text(encode_text("a\0b")) == "a\0b"


@pytest.mark.parametrize("text", ["x" * 4096, "ł" * 2048, "The camera pans left. " * 186, "\n" * 4095 + "7"])
def test_the_longest_text_comes_back(text):
    assert decode_text(encode_text(text)) == text


def test_a_few_bytes_do_not_grow_past_the_limit():
    packed = pack_caption("x" * 4096)
    assert len(packed) < 64
    with pytest.raises(LimitError, match="limit of 100"):
        unpack_caption(packed, 100)


def test_unseen_captions_take_under_half_of_what_brotli_takes():
    brotli = sum(len(pack_brotli(text.encode())) for text in UNSEEN)
    assert sum(len(encode_text(text)) - 1 for text in UNSEEN) < 0.45 * brotli
    assert all(encode_text(text)[0] == TextCoder.CAPTION for text in UNSEEN)


def test_the_shortest_coding_is_taken():
    for text in ("a3b", "Ω" * 40, "0123456789" * 30, UNSEEN[1]):
        raw = text.encode()
        sizes = [len(raw), len(pack_brotli(raw)), len(pack_caption(text))]
        assert len(encode_text(text)) == 1 + min(sizes)


def test_texts_do_not_depend_on_each_other():
    alone = [pack_caption(text) for text in UNSEEN[:8]]
    found = {}

    def run(number):
        found[number] = [pack_caption(text) for text in UNSEEN[:8][:: number * 2 - 1]]

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: alone[::-1], 1: alone}


def test_no_caption_of_the_tests_shares_a_phrase_with_the_primer():
    def phrases(text):
        tokens = re.findall(r"\w+", text.lower())
        return {tuple(tokens[k : k + 8]) for k in range(len(tokens) - 7)}

    known = phrases((PRIMER / "captions.txt").read_text())
    assert known
    assert not [text for text in UNSEEN if phrases(text) & known]


def test_there_are_fifty_unseen_captions_of_two_lines():
    assert len(set(UNSEEN)) == 50
    assert {text.count("\n") for text in UNSEEN} == {1}


@given(texts)
def test_turning_case_twice_changes_nothing(text):
    assert turn_case(turn_case(text.encode())) == text.encode()


def test_probabilities_rise_and_stay_within_bounds():
    found = [probability(logit) for logit in range(-5000, 5000)]
    assert found == sorted(found)
    assert 0 < found[0] < found[-1] < 65536
    assert probability(0) == 32768


def test_the_primer_and_what_it_says_are_what_they_were():
    """Where this fails, streams of today no longer decode: a new primer needs a new coder id."""
    spec = make_vectors()
    assert spec.caption_coder() == GOLDEN
    assert all(digest in PAGE for digest in GOLDEN["primer_sha256"].values())


@pytest.mark.parametrize("golden", GOLDEN["texts"], ids=lambda golden: golden["text"][:12])
def test_golden_texts_decode_by_the_page_and_by_us(golden):
    data = bytes.fromhex(golden["hex"])
    assert unpack_caption(data, DEFAULT_LIMITS.text_bytes).decode() == golden["text"]
    assert Second(data).text() == golden["text"]


def test_an_unseen_caption_decodes_by_the_page():
    assert Second(pack_caption(UNSEEN[15])).text() == UNSEEN[15]


def test_the_contexts_are_those_of_the_page():
    history, said = History(), b"\0"
    for byte in b"a Red fox.\n\n it 7":
        assert history.contexts() == contexts(said)
        history.append(byte)
        said += bytes([byte])
    assert primer() is primer()


def make_vectors():
    spec = importlib.util.spec_from_file_location("make_vectors", ROOT / "tests" / "vectors" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The second decoder: slow, straight from the page.

LOGISTIC = [int(n) for n in re.findall(r"\d+", re.search(r"\nL = ([^a-z]*)\n\n", PAGE)[1])]
TRUST = [1, 2, 4, 8, 3, 8, 12, 4]


def turned(text):
    first = [0, *(found.end() for found in re.finditer(rb"\n|(?=(\. ))..", text, re.DOTALL))]
    return b"".join(text[k : k + 1].swapcase() if k in first else text[k : k + 1] for k in range(len(text)))


def tokens(text):
    rest = re.findall(rb"\n|[^ \n]* |[^ \n]+", text[1:])
    return [text[:1], *rest]


def contexts(history):
    split = tokens(history.lower())
    if split[-1][-1:] in (b" ", b"\n", b"\0"):
        split.append(b"")
    found = [history[-n:] if len(history) >= n else None for n in (1, 2, 3, 5)]
    found += [split[-1], split[-2] + split[-1]]
    found += [b"".join(split[-3:]), split[-3] + b"\xff" + split[-1]] if len(split) > 2 else [None, None]
    return [None if each is None or len(each) > 31 else each for each in found]


@cache
def documents():
    captions = (PRIMER / "captions.txt").read_bytes()[:-1].split(b"\n\n")
    singles = (PRIMER / "vocabulary.txt").read_bytes().split()
    return [b"\0" + turned(each) + b"\0" for each in captions], [b" " + each + b" " for each in singles]


@cache
def numbers():
    rows = [[int(n) for n in line.split()] for line in (PRIMER / "weights.txt").read_text().splitlines()]
    return rows[0], [rows[1 + 8 * k : 9 + 8 * k] for k in range(8)]


@cache
def token_texts():
    """Return what stands from each token on: in lower case, as it is; whether of a caption; whether the first."""
    captions, singles = documents()
    found = []
    for text in captions + singles:
        place = 0
        for number, token in enumerate(tokens(text)):
            found.append((text[place:].lower(), text[place:], text[0] == 0, number == 0))
            place += len(token)
    return found


@cache
def gap_texts():
    found = []
    for text in documents()[0]:
        split = tokens(text)
        for (k, token), _ in zip(enumerate(split), pairwise(split[1:]), strict=False):
            rest = b"".join(split[k + 2 :])
            found.append((token.lower() + b"\xff" + rest.lower(), token + b"\xff" + rest))
    return found


@cache
def counted(kind, context):
    if kind < 4:
        whole = documents()[0] + documents()[1]
        after = [t[k + len(context)] for t in whole for k in places(t, context) if k + len(context) < len(t)]
    elif kind == 7:
        after = [text[len(context)] for low, text in gap_texts() if low.startswith(context) and low != context]
    else:
        after = [
            text[len(context)]
            for low, text, caption, first in token_texts()
            if low.startswith(context) and low != context and (not first if kind == 4 else caption)
        ]
    return {byte: after.count(byte) for byte in set(after)}


def places(text, context):
    return [found.start() for found in re.finditer(b"(?=%b)" % re.escape(context), text)] if context in text else []


class Second:
    def __init__(self, data):
        self.data, self.position = data, 4
        self.code, self.range = int.from_bytes(data[:4].ljust(4, b"\0"), "big"), (1 << 32) - 1
        self.zero, self.seen = [32768] * 256, [0] * 256
        self.own = {}

    def bit(self, zero):
        bound = (self.range >> 16) * zero
        bit = int(self.code >= bound)
        self.code, self.range = (self.code - bound, self.range - bound) if bit else (self.code, bound)
        while self.range < 1 << 24:
            byte = self.data[self.position] if self.position < len(self.data) else 0
            self.code, self.range, self.position = (self.code << 8 | byte) % 2**32, self.range << 8, self.position + 1
        return bit

    def byte(self, found):
        counts = []
        for kind, context in enumerate(found):
            count = dict(counted(kind, context)) if context is not None else {}
            for byte in self.own.get((kind, context), []) if context is not None else []:
                count[byte] = count.get(byte, 0) + 2
            counts.append(count)
        shares = [(65536 * t) // (sum(c.values()) + 1) for t, c in zip(TRUST, counts, strict=True)]
        score = {b: sum(s * c.get(b, 0) for s, c in zip(shares, counts, strict=True)) for b in range(256)}
        guesses = sorted((b for b in score if any(b in c for c in counts)), key=lambda b: (-score[b], b))[:40]
        misses = [sum(c.values()) for c in counts]
        rank, cells = numbers()
        for g, guess in enumerate(guesses):
            logit = rank[min(g, 9)]
            for kind, count in enumerate(counts):
                hits = count.get(guess, 0)
                misses[kind] -= hits
                logit += cells[kind][min(len(f"{hits:b}".lstrip("0")), 7)][min(len(f"{misses[kind]:b}".lstrip("0")), 9)]
            x = max(1, min(4095, 2048 + logit))
            low, high = LOGISTIC[x // 128], LOGISTIC[x // 128 + 1]
            if self.bit(65536 - (low + (high - low) * (x % 128) // 128)):
                return guess
        return self.spelt()

    def spelt(self):
        node = 1
        while node < 256:
            bit = self.bit(self.zero[node])
            rate = 65536 // (self.seen[node] + 2)
            self.zero[node] += ((-self.zero[node] if bit else 65536 - self.zero[node]) * rate) >> 16
            self.zero[node] = max(64, min(65472, self.zero[node]))
            self.seen[node] = min(30, self.seen[node] + 1)
            node = 2 * node + bit
        return node - 256

    def text(self):
        history = b"\0"
        while len(history) < 500:  # longer than any text here
            found = contexts(history)
            byte = self.byte(found)
            for kind, context in enumerate(found):
                self.own.setdefault((kind, context), []).append(byte)
            if byte == 0:
                return turned(history[1:]).decode()
            history += bytes([byte])
        return ""
