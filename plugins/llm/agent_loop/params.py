"""The fields of a node of type `agent_loop`."""

from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from engine.contract import Inner, Static
from engine.values import Json
from plugins.llm.conversation import MAX_TOKENS
from plugins.llm.node.params import Seed

__all__ = ["AgentLoopParams", "Approval", "Memory", "Taint", "ToolRule"]

MAX_STEPS: Final = 1000
MAX_RESULT: Final = 4096

Says = msgspec.Meta


class Taint(StrEnum):
    OFF = "off"
    STRICT = "strict"
    """Once untrusted data was read, what changes something needs an approval."""


class ToolRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool: what the model is told of it, and what it may do with it; its key is the name of its node. Read as it is
    written, texts but `result` and `description` without `{{ }}`."""

    name: Annotated[
        str, Says(description="What the model calls it, where that is not the node's name, which is unique in a file.")
    ] = ""
    description: Annotated[
        str, Says(description="What it does and when it is to be used. Some small models want none.")
    ] = ""
    arguments: Annotated[
        dict[str, Any], Says(description="Name -> JSON Schema of its value. The node sees them as `arguments`.")
    ] = {}
    optional: Annotated[list[str], Says(description="Arguments that may be left out.")] = []
    reads: Annotated[bool, Says(description="true: it only reads and changes nothing outside.")] = False
    trusted: Annotated[bool, Says(description="true: its results come from nobody who might mean harm.")] = False
    approval: Annotated[bool, Says(description="true: a person is asked before each call.")] = False
    result: Annotated[
        Any, Says(description='What the model is told, such as "{{ nodes.NAME.body }}"; else the output of the node.')
    ] = None


class Memory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of what was said the model is told again at each turn, beside system, goal and input."""

    window: Annotated[
        Annotated[int, Says(ge=1, le=MAX_STEPS)] | None,
        Says(description="The last turns, each with its calls and results; without it, all."),
    ] = None
    summarise: Annotated[
        bool, Says(description="What is older becomes a note that the model itself writes; else it is left out.")
    ] = False


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a person is asked."""

    within: Annotated[
        str | float | None, Says(description="How long there is to answer; after that the call is denied.")
    ] = None
    assignees: Annotated[list[str], Says(description="Who may answer; without any, everybody.")] = []


class AgentLoopParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[
        str | tuple[str, ...],
        Says(description="Name of a model of this agent (`ganglion models`), or a list: each is asked where those "
             "before it can't answer."),
    ]  # fmt: skip
    goal: Annotated[str, Says(description="What is to be reached. What others wrote belongs into `input`.")]
    nodes: Annotated[
        dict[str, Json],
        Inner,
        Says(description="A node for each tool, of any type; it sees what the model asks for as `arguments`."),
    ]
    tools: Annotated[
        dict[str, ToolRule],
        Inner,
        Says(description="Node -> what the model is told of it and what is allowed. Nothing else can be called."),
    ]
    input: Annotated[
        Json | msgspec.UnsetType,
        Says(description="Data that the model is given as data, not as instructions; it counts as untrusted."),
    ] = msgspec.UNSET
    system: Annotated[str | None, Says(description="What the model is told before all: its part, its rules.")] = None
    max_steps: Annotated[
        int, Static, Says(description="Turns of the model; more fail the node with kind max_steps.", ge=1, le=MAX_STEPS)
    ] = 10
    stop_when: Annotated[
        str | bool | None,
        Inner,
        Says(description="An expression asked after each call, which sees `call` {tool, arguments, result} and `step` "
             "(from 0); true ends the loop without an answer."),
    ] = None  # fmt: skip
    max_repeats: Annotated[
        int,
        Static,
        Says(description="How often one call may be made with the same arguments; from the second time on the model "
             "is told so, once more fails the node with kind repeated.", ge=1, le=MAX_STEPS),
    ] = 3  # fmt: skip
    max_result: Annotated[
        int, Static, Says(description="Bytes of a result that the model is told; of a longer one the beginning.", ge=64)
    ] = MAX_RESULT
    memory: Annotated[Memory, Static, Says(description="How much of what was said the model is told again.")] = Memory()
    taint: Annotated[
        Taint,
        Static,
        Says(description="strict: once `input` or the result of a tool that is not `trusted` was read, a tool that is "
             "not `reads` needs an approval, and goal and system may refer to params, agent and execution alone."),
    ] = Taint.OFF  # fmt: skip
    approval: Annotated[Approval, Inner, Says(description="How a person is asked.")] = Approval()
    tools_text: Annotated[
        str | None, Says(description="What a model without tools of its own is told instead of the list of tools.")
    ] = None
    temperature: Annotated[
        float, Says(description="0: always the likeliest word; 1: as freely as it was trained.", ge=0, le=2)
    ] = 0.0
    top_p: Annotated[float, Says(description="Only the likeliest words that together have this share.", gt=0, le=1)] = (
        1.0
    )
    seed: Annotated[Seed | None, Says(description="Makes a temperature above 0 repeatable, where the model can.")] = (
        None
    )
    max_tokens: Annotated[
        int, Says(description="The most that the model may write in one turn, in tokens.", ge=1, le=131_072)
    ] = MAX_TOKENS
    stall: Annotated[
        str | float | None,
        Says(description="Give a turn up after so long without a sign of life, such as 30s; else as the model's entry "
             "says."),
    ] = None  # fmt: skip
    reuse: Annotated[
        bool | None, Says(description="Take an answer of the last hour to the same question, as for `llm`.")
    ] = None

    def __post_init__(self) -> None:
        if not self.model or not all(self.model):
            raise ValueError("needs the name of a model")
