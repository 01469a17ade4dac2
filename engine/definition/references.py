"""Does everything exist that the expressions of a file refer to, and can it be seen from where it is referred to?"""

from collections.abc import Collection, Mapping

from engine.contract import Body, NodeTypes
from engine.definition.form import LOCAL
from engine.definition.problems import Path, Problems, suggestion
from engine.definition.statics import Statics
from engine.definition.survey import Site, Survey, View
from engine.expressions import Reference
from engine.values import Json

__all__ = ["TRIGGER_FIELDS", "References"]

TRIGGER_FIELDS = ("data", "subject", "headers", "time", "id")
_FIELDS: dict[str, tuple[str, ...]] = {
    "trigger": TRIGGER_FIELDS,
    "execution": ("id", "attempt"),
    "agent": ("id", "labels"),
}
_ROOTS = (*_FIELDS, "params", "vars", "nodes", "errors", "secrets")


class References:
    """Checks references against the names of one file."""

    def __init__(
        self,
        *,
        survey: Survey,
        statics: Statics,
        params: Collection[str],
        variables: Collection[str],
        types: NodeTypes,
        problems: Problems,
    ) -> None:
        self._survey = survey
        self._statics = statics
        self._params = params
        self._variables = variables
        self._types = types
        self._problems = problems

    def check(
        self, reference: Reference, path: Path, view: View, *, secrets: bool = False, within: str | None = None
    ) -> Site | None:
        """A problem where a reference leads nowhere; the node that it leads to, if it does. `within` is the node whose
        field it is."""
        root, name = reference.root, reference.path[0] if reference.path else None
        if root in ("nodes", "errors"):
            return self._node(root, name, path, view, within)
        if root == "params":
            self._statics.check_param(reference, path)
        elif root == "secrets":
            if not secrets:
                self._problems.add(path, "a secret must not go here", "only fields made for secrets take secrets.NAME")
        elif root == "vars":
            self._variable(name, path)
        elif root in _FIELDS:
            if name is not None and name not in _FIELDS[root]:
                self._problems.add(path, f"there is no {root}.{name}", suggestion(str(name), _FIELDS[root]))
        elif root not in view.names:
            self._root(root, path, view)
        return None

    def check_assignment(self, written: Json, path: Path) -> None:
        """A problem unless these are variables of the workflow with their new values."""
        if not isinstance(written, Mapping):
            self._problems.add(path, "which variables these are must be known at deploy", "write `vars: {name: value}`")
            return
        for name in written:
            self._variable(name, (*path, name))

    def _node(self, root: str, name: str | int | None, path: Path, view: View, within: str | None) -> Site | None:
        if not isinstance(name, str):
            self._problems.add(path, f"{root} needs the name of a node", f"write {root}.<node>")
            return None
        site = view.find(name)
        if site is None:
            self._out_of_sight(name, path, view)
        elif name == within:
            self._problems.add(path, f"{name} refers to itself", "a node sees what other nodes gave")
        elif name in view.holders:
            self._problems.add(path, f"{name} holds this, and has not ended", "what is inside sees the nodes beside it")
        else:
            return site
        return None

    def _out_of_sight(self, name: str, path: Path, view: View) -> None:
        site = self._survey.homes.get(name)
        holder = None if site is None else site.group.holder
        if holder is None:
            hint = self._problems.suggest(name, *(group.sites for group in view.groups))
            self._problems.add(path, f"there is no node {name[:64]}", hint)
        elif holder.id in view.holders:
            hint = "`last` is what the time before gave" if "last" in view.names else "it sees what comes before"
            self._problems.add(path, f"{name} has not run when this is asked", hint)
        else:
            self._problems.add(
                path,
                f"there is no node {name} here: it is inside {holder.dotted}",
                f"outside sees only nodes.{holder.id}, its output",
            )

    def _variable(self, name: str | int | None, path: Path) -> None:
        if name is not None and name not in self._variables:
            otherwise = "" if self._variables else "declare it under vars:"
            hint = self._problems.suggest(str(name), self._variables, otherwise=otherwise)
            self._problems.add(path, f"there is no variable {str(name)[:64]}", hint)

    def _root(self, root: str, path: Path, view: View) -> None:
        sites = self._survey.names.get(root, ())
        if not sites and root not in LOCAL:
            self._problems.add(path, f"there is no {root[:64]} in scope", self._near(root, view))
            return
        if view.names:
            hint = f"known here: {', '.join(sorted(view.names))}"
        elif sites:
            hint = f"it is known inside {', '.join(site.dotted for site in sites[:3])}"
        else:
            hint = f"it is known inside nodes of type {', '.join(self._types_with(root))}"
        self._problems.add(path, f"{root} is not known here", hint)

    def _types_with(self, name: str) -> list[str]:
        """The node types in whose bodies a name is known."""
        types = [(word, self._types.get(word)) for word in self._types.names()]
        return [word for word, type in types if type and any(name in _usual(body) for body in type.bodies.values())]

    def _near(self, root: str, view: View) -> str:
        if view.find(root) is not None:
            return f"did you mean nodes.{root}?"
        for home, names in (("params", self._params), ("vars", self._variables), *_FIELDS.items()):
            if root in names:
                return f"did you mean {home}.{root}?"
        return self._problems.suggest(root, _ROOTS, view.names)


def _usual(body: Body) -> tuple[str, ...]:
    """The names of a body of which a file says nothing."""
    fields: Json = {}
    for key in reversed(body.at[:-1]):
        fields = {key: fields}
    return body.names(fields)
