"""Random workflows: graphs with joins, ways, conditions and handlers, and every policy for what fails."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from tests.simulation.bodies import Body
from tests.simulation.spec import Spec


def random_spec(dice: random.Random, name: str, *, on_failure: str | None = None) -> Spec:
    """One workflow that starts at messages on `in.<name>.>`."""
    spec = Spec(name=name, tree={}, types={}, ancestors={})
    nodes = Body(dice, spec).write(dice.randint(1, 9))
    tree: dict[str, Any] = {"name": name, "triggers": [{"nats": {"subject": f"in.{name}.>"}}], "nodes": nodes}
    shown = [id for id in nodes if spec.types[id] != "sleep"][-3:]
    tree["outputs"] = {id: f"{{{{ nodes.{id} | default(null) }}}}" for id in shown}
    if dice.random() < 0.3:
        tree["max_concurrent_nodes"] = dice.randint(1, 3)
    if dice.random() < 0.06:
        tree["timeout"] = dice.choice(["2s", "1m", "30m"])
        spec.is_timed = True
    if on_failure is not None:
        tree["on_failure"] = on_failure
    spec.tree = tree
    return spec


def handler_spec(name: str) -> Spec:
    """What a failed execution starts."""
    node = {"type": "act", "n": "{{ trigger.data.trigger.data.n }}"}
    return Spec(
        name=name, tree={"name": name, "nodes": {"mend": node}}, types={"mend": "act"}, ancestors={"mend": frozenset()}
    )


def by_name(specs: Iterable[Spec]) -> Mapping[str, Spec]:
    return {spec.name: spec for spec in specs}
