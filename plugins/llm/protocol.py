"""Tools for models that know of none: a text that lists them, and a schema for the answer.

    {"tool": "read_sensor", "arguments": {"id": "fridge-07"}}      a call
    {"answer": "fridge-07 is at 14.2 C"}                           the end

The text without descriptions is the one that the model triage-tiny was trained on; see `triage-tiny`'s page.
"""

from plugins.llm.conversation import Prompt, Reply

__all__ = ["read_reply", "without_tools"]


def without_tools(prompt: Prompt) -> Prompt:
    """The same prompt for a model without tools: the list of tools as (or after) the system message, calls and their
    results as JSON texts, and a schema that only a call with valid arguments or an answer fits."""
    raise NotImplementedError


def read_reply(reply: Reply, prompt: Prompt) -> Reply:
    """What a model said to `without_tools(prompt)`: the reply with its calls, or with the answer's text. Raises
    ModelError (invalid_output)."""
    raise NotImplementedError
