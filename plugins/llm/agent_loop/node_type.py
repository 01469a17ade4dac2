"""The node type `agent_loop`."""

from engine.contract import Context, Effect, Fail, NodeType, Outcome
from plugins.llm.agent_loop.bodies import BODIES
from plugins.llm.agent_loop.check import check
from plugins.llm.agent_loop.loop import AgentLoop
from plugins.llm.agent_loop.params import AgentLoopParams

__all__ = ["AGENT_LOOP"]


async def run(ctx: Context, params: AgentLoopParams) -> Outcome:
    return Fail("an agent_loop is opened, not run", kind="bug")


AGENT_LOOP = NodeType(
    name="agent_loop",
    description=(
        "Lets a model act by tools until it has an answer: the model says which tool it wants, a node does it, the "
        "model is told what came of it, and so on. Each turn of the model and each call is a node with a checkpoint "
        "of its own. Only the tools that are named here can be called, with arguments that fit; a tool that fails is "
        "told to the model as {error: {kind, message}}. The output is {answer, stopped, steps, calls, transcript, "
        "llm}: `stopped` is answer or stop_when, `transcript` what was said, `llm` the tokens and seconds of all "
        "turns. It fails with kind max_steps, repeated, or as the model failed. Turns are tried again as the "
        "workflow's `defaults: {retry: …}` say; `limits: {llm_tokens: …}` bounds all turns together."
    ),
    params=AgentLoopParams,
    run=run,
    check=check,
    effect=Effect.AT_LEAST_ONCE,
    bodies=BODIES,
    construct=AgentLoop,
    transcribes=True,
    example="""\
name: look-and-act
nodes:
  act:
    type: agent_loop
    model: triage-tiny
    goal: "If fridge-07 is above 8 C, switch relay-3 on."
    tools:
      read_sensor: {arguments: {id: {type: string, maxLength: 20}}, reads: true}
      set_relay:
        arguments: {id: {type: string, maxLength: 20}, state: {enum: ["on", "off"]}}
      send_alert: {arguments: {message: {type: string, maxLength: 100}}}
    nodes:
      read_sensor: {type: transform, data: {id: "{{ arguments.id }}", celsius: 14.2}}
      set_relay: {type: transform, data: "{{ arguments }}"}
      send_alert: {type: log, message: "{{ arguments.message }}"}
outputs: "{{ nodes.act.answer }}"
""",
)
