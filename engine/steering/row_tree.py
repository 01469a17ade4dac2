"""The node rows of an execution as the tree that their paths make: nodes, the bodies in them, the nodes in those."""

from collections.abc import Iterable, Iterator

from engine.execution.path import Path, read_path
from engine.store.checkpoints import NodeRow


class RowTree:
    """Knows every path that has a row or has rows inside. Raises BadPath for rows that no workflow makes."""

    def __init__(self, rows: Iterable[NodeRow]) -> None:
        self.rows: dict[str, NodeRow] = {}
        self.bodies: dict[str, list[str]] = {}
        """Paths of the bodies of a control-flow node, by its path."""
        self.nodes: dict[str, list[str]] = {}
        """Paths of the nodes in a body, by its path; the workflow's own are in the body without a name."""
        self._known: dict[str, Path] = {}
        for row in rows:
            self.rows[row.path] = row
            self._learn(row.path)

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def path(self, path: str) -> Path:
        """A known path, read."""
        return self._known[path]

    def under(self, path: str) -> Iterator[str]:
        """This path and all that is inside, outermost first."""
        waiting = [path]
        while waiting:
            found = waiting.pop()
            yield found
            waiting.extend(self.bodies.get(found, ()))
            waiting.extend(self.nodes.get(found, ()))

    def begun(self, body: str) -> int:
        """The number of the first change in a body that is still on record."""
        return min((self.rows[path].seq for path in self.under(body) if path in self.rows), default=0)

    def _read(self, text: str) -> Path:
        """The same as read_path, at a fraction of the time where what is around is known already."""
        cut = text.rfind("/")
        holder, tail = text[: max(0, cut)], text[cut + 1 :]
        around = self._known.get(holder)
        if "[" not in tail and (around.is_body if around is not None else cut < 0):
            return Path(text, holder, tail)
        return read_path(text)

    def _learn(self, text: str) -> None:
        while text not in self._known:
            path = self._known[text] = self._read(text)
            if path.is_body:
                self.bodies.setdefault(path.holder, []).append(text)
            else:
                self.nodes.setdefault(path.holder, []).append(text)
            if not path.holder:
                return
            text = path.holder
