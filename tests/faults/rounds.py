"""A workflow through every construct, and its company: who sends what it waits for, and fills its forms in.

Each message takes one execution through a foreach, a while with vars, a try that fails and is caught, a sub-workflow, a
wait for a message and a form. What it does to the sink says that each step happened, and with one key only.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from tests.faults.agent import Agent, Refused
from tests.faults.patience import until
from tests.faults.publisher import Publisher
from tests.faults.sink import Effect

FIRST = 1_000_000
"""Messages are numbered from here, so that no id is that of another message."""
LOOK_SECONDS = 0.1
CALL = "method: POST, url: '{{ params.sink }}', retry: {max: 20, delay: 100ms, max_delay: 1s}"


def _call(workflow: str, node: str) -> str:
    about = f'workflow: {workflow}, node: "{node}", message: "{{{{ trigger.data.message }}}}"'
    return f'{{type: http, {CALL}, json: {{{about}, execution: "{{{{ execution.id }}}}"}}}}'


ROUNDS = f"""\
name: rounds
params: {{sink: {{type: string}}}}
triggers: [{{nats: {{subject: "rounds.*"}}}}]
vars: {{done: 0}}
nodes:
  scan:
    type: foreach
    items: "[0, 1, 2]"
    concurrency: 2
    nodes:
      item_call: {_call("rounds", "item {{ item }}")}
    output: "{{{{ item }}}}"
  loop:
    type: while
    needs: scan
    condition: vars.done < 2
    nodes:
      round_call: {_call("rounds", "round {{ index }}")}
      count: {{type: set, needs: round_call, vars: {{done: "{{{{ vars.done + 1 }}}}"}}}}
  safe:
    type: try
    needs: loop
    nodes:
      risky: {{type: fail, message: "as it should"}}
    catch:
      nodes:
        caught: {_call("rounds", "catch")}
    finally:
      nodes:
        clean: {_call("rounds", "finally")}
  leaf: {{type: workflow, needs: safe, workflow: leaf, params: {{sink: "{{{{ params.sink }}}}"}},
          input: {{message: "{{{{ trigger.data.message }}}}"}}}}
  told: {{type: wait, needs: leaf, message: {{subject: "told.*", key: message.data.message,
          equals: "{{{{ trigger.data.message }}}}"}}}}
  asked: {{type: form, needs: told, title: "Message {{{{ trigger.data.message }}}}"}}
  last: {_call("rounds", "last").replace("{type: http", "{type: http, needs: asked")}
outputs: {{message: "{{{{ trigger.data.message }}}}", items: "{{{{ nodes.scan }}}}", rounds: "{{{{ vars.done }}}}"}}
"""
LEAF = f"""\
name: leaf
params: {{sink: {{type: string}}}}
nodes:
  act: {_call("leaf", "act")}
outputs: {{message: "{{{{ trigger.data.message }}}}"}}
"""
EFFECTS = (
    *(("rounds", node) for node in ("item 0", "item 1", "item 2", "round 0", "round 1", "catch", "finally", "last")),
    ("leaf", "act"),
)


class Rounds:
    """Publishes such messages, and keeps them company until `close`."""

    def __init__(self, agent: Agent, publisher: Publisher) -> None:
        self._agent = agent
        self._publisher = publisher
        self._tasks: list[asyncio.Task[None]] = []
        self.asked: set[int] = set()
        self.acked: set[int] = set()

    def publish(self, count: int) -> None:
        """Begin to publish so many new messages, and what they wait for, until that is acknowledged."""
        first = FIRST + len(self.asked)
        messages = range(first, first + count)
        self.asked.update(messages)
        self._tasks += [asyncio.create_task(self._send(message)) for message in messages]
        if len(self._tasks) == count:
            self._tasks.append(asyncio.create_task(self._fill_forms()))

    def expected(self) -> set[Effect]:
        """What the sink must have seen of everything acknowledged."""
        return {Effect(workflow, message, node) for message in self.acked for workflow, node in EFFECTS}

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, message: int) -> None:
        body = json.dumps({"message": message}).encode()
        await until(self._attempt(f"rounds.{message}", body, f"rounds-{message}"), seconds=600)
        self.acked.add(message)
        await until(self._attempt(f"told.{message}", body, f"told-{message}"), seconds=600)

    def _attempt(self, subject: str, body: bytes, id: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        return lambda: self._publisher.once(subject, body, id=id)

    async def _fill_forms(self) -> None:
        """A person who says yes to everything, and asks again when nobody answers."""
        while True:
            answer = await self._agent.ask("forms", limit=100)
            for form in answer["forms"] if answer else ():
                try:
                    await self._agent.ask("submit", form=form["form"], values={}, by="tester")
                except Refused:  # it took the answer before it died, and says so now
                    continue
            await asyncio.sleep(LOOK_SECONDS)  # a person looks now and then
