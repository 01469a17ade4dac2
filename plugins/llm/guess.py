"""How many tokens a text is, where no tokenizer is at hand.

One for every two bytes of UTF-8, and some for the frame of each message. English and code take three to five bytes a
token, other scripts two to four, so the guess is up to two and a half times too high. It is too low only for text that
is denser (strings of digits or symbols), and there never below the half: a token of a tokenizer that works on bytes, as
today's do, stands for one byte at least.
"""

import msgspec

from plugins.llm.conversation import Prompt

__all__ = ["guessed_text", "guessed_tokens"]

BYTES_PER_TOKEN = 2
FRAME_TOKENS = 16
"""What stands around each message: its role, its beginning and its end."""


def guessed_text(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def guessed_tokens(prompt: Prompt) -> int:
    """Tokens that reading a prompt takes: messages, calls, tools and schema."""
    texts = [message.content for message in prompt.messages]
    more = msgspec.json.encode([prompt.tools, prompt.schema, *(message.calls for message in prompt.messages)])
    told = sum(guessed_text(text) + FRAME_TOKENS for text in texts)
    return told + len(more) // BYTES_PER_TOKEN + guessed_text(prompt.tools_text)
