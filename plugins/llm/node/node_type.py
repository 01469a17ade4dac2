"""`llm`: one question to a language model."""

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Retry
from engine.quantities import parse_duration
from engine.values import Json, decode_json, encode_json
from plugins.llm.asking import Answer
from plugins.llm.conversation import Message, Prompt, Reply, Role, Tool, ToolCall, Usage
from plugins.llm.errors import ModelError
from plugins.llm.node import remembering
from plugins.llm.node.attempt import AttemptAsker
from plugins.llm.node.params import OWN, LlmParams, Said, check
from plugins.llm.service.models import Models

__all__ = ["llm_type"]

_NO_MODELS = "this process has no models; run the workflow with `ganglion run` or on an agent (`ganglion up`)"


async def run(ctx: Context, params: LlmParams, models: Models | None) -> Outcome:
    if models is None:
        return Fail(_NO_MODELS, kind="unavailable")
    try:
        prompt = _prompt(params)
        stall = None if params.stall is None else parse_duration(params.stall)
    except ValueError as error:
        return Fail(str(error), kind="invalid")
    names = (params.model,) if isinstance(params.model, str) else params.model
    try:
        return await _asked(ctx, params, models, names, prompt, stall)
    except ModelError as error:
        if error.passing:
            return Retry(str(error), after=error.after, kind=error.trouble.value)
        return Fail(str(error), kind=error.trouble.value)


async def _asked(
    ctx: Context, params: LlmParams, models: Models, names: tuple[str, ...], prompt: Prompt, stall: float | None
) -> Outcome:
    reuse = params.temperature == 0 or params.seed is not None if params.reuse is None else params.reuse
    key = remembering.key(models.identity(names), prompt) if reuse else b""
    if reuse and (known := await remembering.recall(ctx, key)) is not None:
        return Done(_output(known, prompt, remembered=True))
    reservation = await ctx.reserve_tokens(await models.count(names, prompt) + prompt.max_tokens)
    try:
        answer = await models.generate(names, prompt, AttemptAsker(ctx, stall))
    except ModelError as error:
        if error.used is not None:
            reservation.settle(error.used)
        raise
    passed_over = sum(error.used or 0 for _, error in answer.passed_over)
    reservation.settle(passed_over + answer.reply.usage.input + answer.reply.usage.output)
    output = _output(answer, prompt)
    if reuse:
        remembering.keep(ctx, key, answer)
    return Done(output)


def _output(answer: Answer, prompt: Prompt, *, remembered: bool = False) -> dict[str, Json]:
    """`remembered`: nothing was asked, and nothing is paid for."""
    reply = answer.reply
    if remembered:
        reply = msgspec.structs.replace(reply, usage=Usage(), first_token=0.0, seconds=0.0)
    about: dict[str, Json] = {
        "model": answer.model,
        "finish": reply.finish.value,
        "input_tokens": reply.usage.input,
        "output_tokens": reply.usage.output,
        "reused_tokens": reply.usage.reused,
        "tokens_per_second": _rate(reply),
        "first_token_seconds": round(reply.first_token, 6),
        "seconds": round(reply.seconds, 6),
        "waited_seconds": round(answer.waited, 6),
        "remembered": remembered,
        "passed_over": [
            {"model": name, "kind": error.trouble.value, "error": str(error)} for name, error in answer.passed_over
        ],
    }
    return {**_given(reply, prompt), OWN: about}


def _given(reply: Reply, prompt: Prompt) -> dict[str, Json]:
    """The answer as the output has it."""
    if prompt.schema is not None:
        value = decode_json(reply.text.encode())  # the service has seen that it fits
        return value if isinstance(value, dict) else {"value": value}
    if prompt.tools:
        return {"text": reply.text, "calls": [_call(call) for call in reply.calls]}
    return {"text": reply.text}


def _call(call: ToolCall) -> dict[str, Json]:
    """With all its keys, also where there are no arguments: expressions refer to them."""
    return {"id": call.id, "name": call.name, "arguments": dict(call.arguments)}


def _rate(reply: Reply) -> float:
    """Tokens written in a second, the reading of the prompt left out."""
    seconds = reply.seconds - reply.first_token
    return round((reply.usage.output - 1) / seconds, 1) if seconds > 0 and reply.usage.output > 1 else 0.0


def _prompt(params: LlmParams) -> Prompt:
    messages = [Message(role=Role.USER, content=params.prompt)] if params.prompt is not None else []
    messages += [_message(said) for said in params.messages]
    if params.system:
        if messages[0].role is Role.SYSTEM:
            raise ValueError("takes `system` or a first message of the role system, not both")
        messages.insert(0, Message(role=Role.SYSTEM, content=params.system))
    return Prompt(
        messages=tuple(messages),
        tools=tuple(
            Tool(name=tool.name, description=tool.description, parameters=tool.parameters) for tool in params.tools
        ),
        tools_text=params.tools_text or "",
        schema=params.schema,
        max_tokens=params.max_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        seed=params.seed,
        stop=params.stop,
    )


def _message(said: Said) -> Message:
    content = said.content if isinstance(said.content, str) else encode_json(said.content).decode()
    calls = tuple(ToolCall(name=call.name, arguments=call.arguments, id=call.id) for call in said.calls)
    return Message(role=said.role, content=str(content), calls=calls, call=said.call, tool=said.tool)


def llm_type(models: Models | None) -> NodeType:
    """The type over a service of models; without one it can be read and not run."""

    async def ask(ctx: Context, params: LlmParams) -> Outcome:
        return await run(ctx, params, models)

    return NodeType(
        name="llm",
        description=(
            "Asks a language model: a local one in this process, or a remote one, as the agent's configuration says. "
            "The output is {text, llm}; with `schema` it is the data itself and `llm` (data that is no object stands "
            "under `value`); with `tools` it is {text, calls, llm}. `llm` says how it came about: {model, finish, "
            "input_tokens, output_tokens, reused_tokens, tokens_per_second, first_token_seconds, seconds, "
            "waited_seconds, remembered, passed_over}. A list of models falls back: `llm.model` says who answered. "
            "What may pass (busy, unreachable, rate_limited, stalled, empty_output, invalid_output) is tried again as "
            "`retry` allows; anything else fails with a kind such as unknown_model, model_missing or prompt_too_long. "
            "The text is shown as it comes; a cancel ends it within a token."
        ),
        params=LlmParams,
        run=ask,
        check=check,
        effect=Effect.AT_LEAST_ONCE,
        example="""\
name: triage
params:
  reading: {type: string, default: "fridge-07 temperature 14.2 C, limit 8 C"}
nodes:
  triage:
    type: llm
    model: triage-tiny
    prompt: "{{ params.reading }}"
    schema:
      type: object
      properties:
        level: {enum: [normal, warning, critical]}
        reason: {type: string, maxLength: 120}
      required: [level, reason]
      additionalProperties: false
    max_tokens: 100
    retry: {max: 2, delay: 500ms}
outputs: {level: "{{ nodes.triage.level }}", reason: "{{ nodes.triage.reason }}"}
""",
    )
