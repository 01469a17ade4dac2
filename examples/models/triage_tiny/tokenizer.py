"""Text -> tokens: byte-level BPE, cut beforehand as llama.cpp's `llama-bpe` does it.

Numbers are tokens of one or two digits and nothing else is merged with them: the model has to compare them.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Self

from triage_tiny.conversations import Conversation, Conversations

END, START_TURN, END_TURN = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_SPECIALS = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")

Pair = tuple[str, str]


class Tokenizer:
    """Knows its tokens by their merges, which come in order: what was merged first is merged first again."""

    def __init__(self, merges: Iterable[Pair]) -> None:
        self.merges: list[Pair] = [(left, right) for left, right in merges]
        self.tokens = [*SPECIAL, *(_letters()[byte] for byte in range(256)), *(a + b for a, b in self.merges)]
        self.ids = {token: id for id, token in enumerate(self.tokens)}
        self._rank = {merge: rank for rank, merge in enumerate(self.merges)}
        self._known: dict[str, list[int]] = {}

    @classmethod
    def trained(cls, size: int, *, seed: str = "bpe", samples: int = 6000) -> Self:
        """With as many tokens as `size` says, from conversations."""
        conversations, words = Conversations(seed), Counter[str]()
        for _ in range(samples):
            for turn in conversations.any():
                words.update(_cut().findall(turn.text))
        words.update(dict.fromkeys(("system", "user", "assistant", "tool"), 5000))
        digits = [(tens, ones) for tens in "0123456789" for ones in "0123456789"]
        return cls([*digits, *_merges(words, size - len(SPECIAL) - 256 - len(digits))])

    def encode(self, text: str) -> list[int]:
        """Special tokens count where they stand."""
        ids: list[int] = []
        for part in _SPECIALS.split(text):
            if part in SPECIAL:
                ids.append(self.ids[part])
            else:
                ids += (id for word in _cut().findall(part) for id in self._word(word))
        return ids

    def encode_conversation(self, conversation: Conversation) -> tuple[list[int], list[int]]:
        """Tokens in ChatML, and for each 1 if it is to be learned, else 0."""
        ids: list[int] = []
        learned: list[int] = []
        for role, text in conversation:
            head, body, tail = self.encode(f"{START_TURN}{role}\n"), self.encode(text + END_TURN), self.encode("\n")
            ids += head + body + tail
            learned += [0] * len(head) + [int(role == "assistant")] * len(body) + [0] * len(tail)
        return ids, learned

    def _word(self, word: str) -> list[int]:
        if word not in self._known:
            parts = _split(word)
            while known := [(self._rank[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in self._rank]:
                _, at = min(known)
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
            self._known[word] = [self.ids[part] for part in parts]
        return self._known[word]


def _merges(words: Counter[str], count: int) -> list[Pair]:
    """The most frequent pairs, one after the other; of equal ones the last in alphabetical order."""
    split = {word: _split(word) for word in words if not word.isdigit()}
    merges: list[Pair] = []
    while len(merges) < count:
        pairs = Counter[Pair]()
        for word, parts in split.items():
            for pair in pairwise(parts):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for parts in split.values():
            _merge(parts, best)
    return merges


def _merge(parts: list[str], pair: Pair) -> None:
    at = 0
    while at < len(parts) - 1:
        if (parts[at], parts[at + 1]) == pair:
            parts[at : at + 2] = [pair[0] + pair[1]]
        at += 1


def _split(word: str) -> list[str]:
    return [_letters()[byte] for byte in word.encode()]


@cache
def _letters() -> dict[int, str]:
    """A printable character for each byte, as GPT-2 has it."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + at) for at, byte in enumerate(others)}


@cache
def _cut() -> re.Pattern[str]:
    """Cuts a text into words, between which nothing is merged."""
    letter, number = _class("L"), _class("N")
    return re.compile(
        rf"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n{letter}{number}]?[{letter}]+|"
        rf"[{number}]{{1,3}}| ?[^\s{letter}{number}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def _class(category: str) -> str:
    r"""What \p{L} is to others: the standard library's regular expressions know no Unicode categories."""
    codes = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == category]
    runs, start = [], codes[0]
    for code, following in pairwise([*codes, -1]):
        if following != code + 1:
            runs.append(f"\\U{start:08x}-\\U{code:08x}")
            start = following
    return "".join(runs)
