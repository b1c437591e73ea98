"""Texts of many lines at once: to the byte what Python says of each by itself."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ingest.store import arrays, fast_text
from ingest.store.fast_text import Block, Spans

SIZES = (0, 1, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 200, 255, 256, 300)


def block_of(texts: list[bytes]) -> tuple[Block, Spans]:
    """The texts behind one another, with something else before, between and after them."""
    rng = random.Random(len(texts))
    out, starts = b"before, and nothing of it is looked at", []
    for text in texts:
        out += rng.choice((b",", b"0", b'"', b"??")) * rng.randrange(1, 9)
        starts.append(len(out))
        out += text
    start = np.array(starts, dtype=np.int64)
    return Block(out + b"after"), Spans(start, start + np.array([len(text) for text in texts], dtype=np.int64))


def some_texts() -> list[bytes]:
    """Texts of many sizes; of each, copies and texts that differ in one byte."""
    rng = random.Random(3)
    texts = []
    for size in SIZES:
        text = bytes(rng.choices(b"0abc", k=size))
        texts += [text, text]
        for place in {0, size // 2, size - 1, rng.randrange(size)} if size else ():
            texts.append(text[:place] + b"X" + text[place + 1 :])
    rng.shuffle(texts)
    return texts


@pytest.mark.parametrize("collide", [False, True])
def test_texts_are_told_apart(monkeypatch: pytest.MonkeyPatch, collide: bool) -> None:
    if collide:  # whoever finds texts of one hash gains nothing
        monkeypatch.setattr(fast_text, "_hashes", lambda ends, size: np.zeros(len(size), dtype=np.uint64))
    texts = some_texts()
    block, spans = block_of(texts)
    first, codes = block.coded(spans)
    said = list(block.cut(spans.of(first)))
    assert [said[code] for code in codes] == texts
    assert len(said) == len(set(texts))


def test_the_same_to_the_last_byte() -> None:
    texts = some_texts()
    one, two = zip(*((a, b) for a in texts for b in texts if abs(len(a) - len(b)) < 2), strict=True)
    block, spans = block_of([*one, *two])
    half = len(one)
    found = block.same(spans.of(slice(None, half)), spans.of(slice(half, None)))
    assert found.tolist() == [a == b for a, b in zip(one, two, strict=True)]


def test_where_a_letter_stands_first() -> None:
    texts = [
        b"?",
        b"",
        b"a",
        b"abcdefgh?",
        b"abcdefg?h?",
        b"0?",
        b"no such letter in this text",
        b"x" * 40 + b"?" + b"y" * 9,
    ]
    block, spans = block_of(texts)
    found = block.first("?", spans, 512) - spans.start
    assert found.tolist() == [text.find(b"?") if b"?" in text else len(text) for text in texts]
    assert (block.first("?", spans, 16) - spans.start)[-1] == 50  # not looked for so far behind
    assert block.has_blank(spans).tolist() == [b" " in text for text in texts]


def test_blanks_in_the_first_bytes() -> None:
    texts = [
        b"2026-11-24T10:00:00.000000Z 10.0.0.1 and more",
        b"2026-11-24 10:00:00.000000Z 10.0.0.1 and more",
        b"x" * 40,
    ]
    block, spans = block_of(texts)
    assert block.has_blank_in(spans.start, 27).tolist() == [False, True, False]
    assert block.has_blank_in(spans.start, 28).tolist() == [True, True, False]


def test_numbers_and_instants() -> None:
    texts = [b"0", b"12345678", b"123456789", b"", b"12a", b"007", b"1:3"]
    block, spans = block_of(texts)
    values, good = block.numbers(spans)
    assert good.tolist() == [True, True, False, False, False, True, False]
    assert values[good].tolist() == [0, 12345678, 7]
    texts = [
        b"1795305600.012345",
        b"1795305600,012345",
        b"179530560.0012345",
        b"17953056a0.012345",
        b"1795305609.99999:",
    ]
    block, spans = block_of([*texts, b"1795305678.9876541"])
    seconds, micros, good = block.instants(spans)
    assert good.tolist() == [True, False, False, False, False, False]
    assert (seconds[0], micros[0]) == (1795305600, 12345)


def test_a_literal_of_any_size() -> None:
    literal = b"abcdefghijklmnopqrstuvwxyz"
    for size in range(4, len(literal) + 1):
        wrong = [literal[:place] + b"X" + literal[place + 1 : size] for place in range(size)]
        block, spans = block_of([literal[:size], *wrong])
        assert block.says(spans.start, literal[:size]).tolist() == [True] + [False] * size


def test_arrays_as_postgresql_reads_them() -> None:
    assert arrays.texts([]) == arrays.numbers([]) == "{}"
    assert arrays.texts(["a", "NULL", ""]) == '{"a","NULL",""}'
    assert arrays.texts(['a"b', "c\\d"]) == '{"a\\"b","c\\\\d"}'
    assert arrays.texts(['"']) == '{"\\""}'
    assert arrays.numbers([1, -2]) == "{1,-2}"
