"""Random groups of nodes, which may hold groups themselves."""

import random
from collections.abc import Iterable
from typing import Any

from tests.simulation.spec import Spec

VALUED = frozenset({"act", "once", "calc"})
"""Types whose output is {v: number}, so that others may look at it."""
HOLDING = frozenset({"foreach", "repeat", "while", "try"})
TYPES = {
    "act": 40, "calc": 16, "once": 14, "sleep": 8, "if": 12, "switch": 5, "foreach": 9, "repeat": 4, "while": 3,
    "try": 7,
}  # fmt: skip
DEEPEST = 2


class Body:
    """Writes one group: each node has edges to earlier ones only, or outwards."""

    def __init__(
        self,
        dice: random.Random,
        spec: Spec,
        *,
        prefix: str = "",
        around: "Body | None" = None,
        names: tuple[str, ...] = (),
    ) -> None:
        self._dice = dice
        self._spec = spec
        self._prefix = prefix
        """Of the keys of its nodes."""
        self._around = around
        self._names = names
        """What its expressions see besides the enclosing scope."""
        self._depth = 0 if around is None else around._depth + 1
        self._counter: list[int] = [0] if around is None else around._counter
        self._written: dict[str, dict[str, Any]] = {}
        self._ancestors: dict[str, frozenset[str]] = {}
        self._outward = set[str]()
        """Nodes of the enclosing groups that it refers to."""

    def write(self, count: int) -> dict[str, dict[str, Any]]:
        for _ in range(count):
            self._add()
        return self._written

    # --- one node

    def _add(self) -> None:
        dice = self._dice
        self._counter[0] += 1
        id = f"n{self._counter[0]}"
        earlier = list(self._written)
        near = (
            earlier[-1:]
            if dice.random() < 0.35
            else dice.sample(earlier, min(len(earlier), dice.choice((0, 1, 1, 2, 3))))
        )
        types = {name: weight for name, weight in TYPES.items() if self._depth < DEEPEST or name not in HOLDING}
        type = dice.choices([*types], [*types.values()])[0]
        visible = [other for other in near if self._type(other) in VALUED]
        node: dict[str, Any] = {"type": type}
        waited = set[str]()
        if type in VALUED:
            self._look(node, visible)
            waited.update(visible)
        elif type == "sleep":
            node["duration"] = dice.choice(("10ms", "700ms", "5s", "2m", "7h"))
        elif type in HOLDING:
            waited.update(self._hold(id, type, node, visible))
        else:
            value = f"(nodes.{visible[0]}.v | default(1))" if visible else "trigger.data.n"
            waited.update(visible[:1])
            if type == "if":
                node["condition"] = f"{value} % 2 == 0"
            else:
                node.update(value=f"{value} % 3", cases={"zero": 0, "one": [1]})
        needs = self._needs(near, waited)
        if needs:
            node["needs"] = needs
            waited.update(need.partition(".")[0] for need in needs)
        self._policies(node, type, needs)
        self._keep(id, type, node, waited)

    def _look(self, node: dict[str, Any], visible: list[str]) -> None:
        """Its fields show what it can see: nodes beside it, nodes further out, the item."""
        sees = {other: f"{{{{ nodes.{other}.v | default(-1) }}}}" for other in visible}
        sees.update((name, f"{{{{ {name} }}}}") for name in self._names)
        if self._around is not None and self._dice.random() < 0.3:
            far = [other for other in self._around._written if self._around._type(other) in VALUED]
            for other in far[-1:]:
                self._outward.add(other)
                sees[other] = f"{{{{ nodes.{other}.v | default(-2) }}}}"
        node["n"] = "{{ trigger.data.n }}"
        if sees:
            node["sees"] = sees

    def _needs(self, near: Iterable[str], waited: set[str]) -> list[str]:
        """Explicit edges: always where a reference makes none, sometimes beside one."""
        needs = []
        for other in near:
            if other in waited and self._dice.random() < 0.6:
                continue
            port = {"if": ("then", "else", ""), "switch": ("zero", "one", "default")}.get(self._type(other), ("",))
            wanted = self._dice.choice(port)
            needs.append(f"{other}.{wanted}" if wanted else other)
        return needs

    def _policies(self, node: dict[str, Any], type: str, needs: list[str]) -> None:
        dice = self._dice
        if needs:
            if len(needs) > 1 and dice.random() < 0.4:
                node["join"] = "any"
            node["run_if"] = dice.choices(("success", "failed", "always"), (80, 8, 12))[0]
        if dice.random() < 0.1:
            node["when"] = f"trigger.data.n % {dice.randint(2, 4)} != 0"
        policy = dice.random()
        if policy < 0.25:
            node["on_error"] = "continue"
        elif policy < 0.4 and type in VALUED | HOLDING:
            node["default"] = {"v": dice.randint(0, 9)}
        elif policy < 0.55:
            node["critical"] = False
        if type in ("act", "once"):
            delay = dice.choice(("1ms", "300ms", "20s"))
            node["retry"] = {"max": dice.randint(0, 3), "delay": delay, "jitter": dice.random() < 0.5}
            if dice.random() < 0.2:
                node.update(timeout="30s", stalls=True)
            if dice.random() < 0.3:
                node["tells"] = True

    def _keep(self, id: str, type: str, node: dict[str, Any], waited: set[str]) -> None:
        self._written[id] = node
        above = self._ancestors
        self._ancestors[id] = frozenset(waited).union(*(above[other] for other in waited))
        key = self._prefix + id
        self._spec.types[key] = type
        self._spec.ancestors[key] = self._ancestors[id]
        if node.get("tells"):
            self._spec.tells.add(key)

    def _type(self, id: str) -> str:
        return self._spec.types[self._prefix + id]

    # --- nodes that hold nodes

    def _hold(self, id: str, type: str, node: dict[str, Any], visible: list[str]) -> set[str]:
        """Fill a node that holds nodes; which of ours it waits for by that."""
        dice = self._dice
        references = set[str]()
        if type == "foreach":
            items = [str(number) for number in range(dice.choice((0, 1, 2, 2, 3, 5)))]
            if visible:
                references.add(visible[0])
                items.append(f"nodes.{visible[0]}.v | default(0)")
            node.update(items=f"[{', '.join(items)}]", concurrency=dice.choice((1, 1, 2, 8)))
            node["on_item_error"] = dice.choice(("fail", "continue"))
            return references | self._group(id, node, "", ("item", "index"))
        if type in ("repeat", "while"):
            outward = self._group(id, node, "", ("index", "last"))
            if type == "while":
                node["condition"] = f"index < {dice.randint(0, 3)}"
            else:
                node["times"] = dice.randint(0, 3)
                if (seen := self._a_value(node["nodes"])) and dice.random() < 0.5:
                    node["until"] = f"(nodes.{seen}.v | default(0)) % 3 == 0"
            return outward
        outward = self._group(id, node, "/try", ())
        for branch in ("catch", "finally"):
            if dice.random() < 0.6:
                node[branch] = {}
                outward |= self._group(id, node[branch], f"/{branch}", ())
        node.get("finally", {}).pop("output", None)
        return outward

    def _group(self, id: str, holder: dict[str, Any], suffix: str, names: tuple[str, ...]) -> set[str]:
        """Write a body into `holder`; which of our nodes it refers to."""
        body = Body(self._dice, self._spec, prefix=f"{self._prefix}{id}{suffix}/", around=self, names=names)
        holder["nodes"] = body.write(self._dice.choice((1, 1, 2, 3)))
        if seen := self._a_value(holder["nodes"]):
            holder["output"] = f"{{{{ nodes.{seen}.v | default(null) }}}}"
        else:
            holder["output"] = "{{ trigger.data.n }}"
        ours = {other for other in body._outward if other in self._written}
        self._outward |= body._outward - ours
        return ours

    def _a_value(self, nodes: dict[str, Any]) -> str | None:
        return next((id for id, node in nodes.items() if node["type"] in VALUED), None)
