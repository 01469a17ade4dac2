"""Messages -> the tokens that the model was trained on, with llama.cpp's own templates.

A file's Jinja template is only recognised, never run: it is code from whoever made the file (CVE-2024-34359), and in
a sandbox it could still loop for ever on a thread that nobody can stop. What llama.cpp does not recognise needs
`chat_format`.

What people and tools say is text: names of control tokens in it (`<|im_end|>`) are read as the characters that they
are, so that data can't end its message and begin one of the system's.
"""

import ctypes
import re
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plugins.llm.conversation import Message, Role
from plugins.llm.errors import ModelError, Trouble

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["PLAIN", "Chat"]

PLAIN = "plain"
"""Our own format, for models that only continue a text: the contents, joined by line breaks."""


class Chat:
    """The conversation format and the vocabulary of one loaded model. Reads only: any thread may use it."""

    def __init__(self, native: "ModuleType", model: object, chat_format: str) -> None:
        """Raises ModelError (refused) if nothing tells how to speak with the model."""
        self._native = native
        self._vocab = native.llama_model_get_vocab(model)
        self._bos = native.llama_vocab_bos(self._vocab)
        if chat_format:
            self._template = chat_format.encode()
        else:
            self._template = native.llama_model_chat_template(model, None) or b""
        self._plain = chat_format == PLAIN
        if not self._plain:
            self._check(chat_format)
        self._control = self._control_texts()
        self._knows_tools = self._plain or b"tool" in self._apply([(Role.USER, "x"), (Role.TOOL, "y")])

    def _check(self, chat_format: str) -> None:
        if self._template and self._length(self._template) >= 0:
            return
        names = ", ".join([*_known_formats(self._native), PLAIN])
        if chat_format:
            raise ModelError(Trouble.REFUSED, f"chat_format: {chat_format!r} is unknown; known are {names}")
        what = "llama.cpp does not know the chat template in its file" if self._template else "its file has no template"
        raise ModelError(Trouble.REFUSED, f"{what}; set chat_format to the one it was trained with: {names}")

    def _length(self, template: bytes) -> int:
        return int(self._native.llama_chat_apply_template(template, self._array([("user", "x")]), 1, True, None, 0))

    def _array(self, turns: Sequence[tuple[str, str]]) -> object:
        array = (self._native.llama_chat_message * len(turns))()
        for slot, (role, content) in zip(array, turns, strict=True):
            slot.role, slot.content = role.encode(), content.encode()
        return array

    def _apply(self, turns: Sequence[tuple[str, str]]) -> bytes:
        array, size = self._array(turns), 256 + sum(len(content) + 256 for _, content in turns)
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._native.llama_chat_apply_template(self._template, array, len(turns), True, buffer, size)
            if length < 0:
                raise ModelError(Trouble.FAILED, "llama.cpp could not apply the chat template; set chat_format")
            if length <= size:
                return buffer.raw[:length]
            size = length

    def _control_texts(self) -> re.Pattern[bytes] | None:
        """The names of all control tokens. They count only where the format puts them."""
        native, texts = self._native, set()
        hidden = native.LLAMA_TOKEN_ATTR_CONTROL | native.LLAMA_TOKEN_ATTR_UNKNOWN
        for token in range(native.llama_vocab_n_tokens(self._vocab)):
            if native.llama_vocab_get_attr(self._vocab, token) & hidden and (
                text := native.llama_vocab_get_text(self._vocab, token)
            ):
                texts.add(bytes(text))
        longest_first = sorted(texts, key=len, reverse=True)
        self._longest = max(map(len, texts), default=0)
        return re.compile(b"|".join(re.escape(text) for text in longest_first)) if texts else None

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """The whole prompt, up to where the assistant speaks."""
        tokens: list[int] = []
        for text, is_format in self._pieces(messages):
            tokens += self.tokenized(text, first=not tokens, control=is_format)
        if len(tokens) > 1 and tokens[0] == tokens[1] == self._bos:
            del tokens[0]  # the format begins with it, too
        return tokens

    def _pieces(self, messages: Sequence[Message]) -> list[tuple[bytes, bool]]:
        """The prompt cut where a control token's name stands in a content; a whole prompt otherwise, because texts
        are cut into tokens across the borders of messages."""
        contents = [message.content.encode("utf-8", "replace") for message in messages]
        if self._plain:
            return self._cut(b"\n".join(contents), [(0, sum(map(len, contents)) + len(contents))])
        mark = secrets.token_hex(8)
        rendered = self._apply([(self._role(message.role), f"{mark}{i:06}") for i, message in enumerate(messages)])
        whole, spans = b"", []
        for i, part in enumerate(re.split(rf"{mark}(\d{{6}})".encode(), rendered)):
            if i % 2:
                content = contents[int(part)]
                spans.append((len(whole), len(whole) + len(content)))
                whole += content
            else:
                whole += part
        return self._cut(whole, spans)

    def _role(self, role: Role) -> str:
        """Formats without tools are told a tool's answer by the user; else they would take it for the assistant's."""
        return Role.USER if role is Role.TOOL and not self._knows_tools else role

    def _cut(self, whole: bytes, spans: list[tuple[int, int]]) -> list[tuple[bytes, bool]]:
        pieces, done = [], 0
        for start, end in self._in_contents(whole, spans):
            pieces += [(whole[done:start], True), (whole[start:end], False)]
            done = end
        return [piece for piece in [*pieces, (whole[done:], True)] if piece[0]]

    def _in_contents(self, whole: bytes, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Where names of control tokens overlap what people said."""
        if self._control is None:
            return []
        found: list[tuple[int, int]] = []
        for start, end in spans:
            at = max(start - self._longest, found[-1][1] if found else 0)
            while (match := self._control.search(whole, at)) is not None and match.start() < end:
                if match.end() > start:
                    found.append(match.span())
                at = match.end()
        return found

    def tokenized(self, text: bytes, *, first: bool = False, control: bool = False) -> list[int]:
        """`first`: with what the vocabulary puts before everything; `control`: names of control tokens are those."""
        size = len(text) + 8
        while True:
            array = (self._native.llama_token * size)()
            count = self._native.llama_tokenize(self._vocab, text, len(text), array, size, first, control)
            if count >= 0:
                return list(array[:count])
            size = -count


def _known_formats(native: "ModuleType") -> list[str]:
    array = (ctypes.c_char_p * 200)()
    count = native.llama_chat_builtin_templates(array, 200)
    return [name.decode() for name in array[:count] if name]
