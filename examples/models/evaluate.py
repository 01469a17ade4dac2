"""How often a model answers as triage-tiny was taught to, through llama.cpp at temperature 0.

    python evaluate.py triage-tiny-q8_0.gguf [conversations of each kind, 300 unless told]

The conversations are made up from a seed that training never uses. An answer counts if it is right to the letter.
Prints the first misses of each kind, too.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator

import llama_cpp.llama_cpp as native
from llama_cpp import Llama
from triage_tiny.conversations import Conversation, Conversations

SEED = "evaluate"
SHOWN_MISSES = 3


class Score:
    """Right answers of all, by kind."""

    def __init__(self) -> None:
        self._all = Counter[str]()
        self._right = Counter[str]()

    def count(self, kind: str, *, is_right: bool) -> int:
        """Returns how many of this kind were wrong so far."""
        self._all[kind] += 1
        self._right[kind] += is_right
        return self._all[kind] - self._right[kind]

    def __str__(self) -> str:
        return "\n".join(
            f"{kind}: {self._right[kind]}/{count} = {self._right[kind] / count:.1%}"
            for kind, count in self._all.items()
        )


def main(path: str, count: int = 300) -> None:
    model = Llama(path, n_ctx=512, n_threads=1, verbose=False)
    score, tokens, begun = Score(), 0, time.monotonic()
    for kind, asked, wanted in questions(count):
        messages = [{"role": turn.role, "content": turn.text} for turn in asked]
        reply = model.create_chat_completion(messages, temperature=0, max_tokens=120)
        got = reply["choices"][0]["message"]["content"]
        tokens += reply["usage"]["completion_tokens"]
        if kind == "triage":
            score.count("triage, level alone", is_right=got.partition(",")[0] == wanted.partition(",")[0])
        wrong = score.count(kind, is_right=got == wanted)
        if got != wanted and wrong <= SHOWN_MISSES:
            print(f"{kind}: {asked[-1].text}\n  wanted {wanted}\n  got    {got}")
    print(score)
    print(f"{tokens / (time.monotonic() - begun):.0f} answer tokens/s, prompts included")


def questions(count: int) -> Iterator[tuple[str, Conversation, str]]:
    """Kind, what was said before, and the right answer; a conversation has one for each turn of the assistant."""
    conversations = Conversations(SEED)
    for make in (conversations.triage, conversations.explain, conversations.tools):
        for _ in range(count):
            conversation = make()
            for at, (role, text) in enumerate(conversation):
                if role == "assistant":
                    kind = make.__name__
                    if kind == "tools":
                        kind = "tool call" if '"tool"' in text else "answer after tools"
                    yield kind, conversation[:at], text


def without_matrix_units() -> None:
    """Some virtual machines announce AMX and do not give it: llama.cpp's first product would end the process. Without
    its own copies of the weights it takes the ordinary vector units."""
    if b"AMX_INT8 = 1" not in native.llama_print_system_info():
        return
    defaults = native.llama_model_default_params

    def plain() -> native.llama_model_params:
        parameters = defaults()
        parameters.use_extra_bufts = False
        return parameters

    native.llama_model_default_params = plain


if __name__ == "__main__":
    without_matrix_units()
    main(sys.argv[1], *map(int, sys.argv[2:3]))
