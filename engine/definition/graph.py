"""Which boxes depend on which, and whether anything can ever start."""

from collections.abc import Collection, Mapping

import msgspec

__all__ = ["Cycle", "topological_levels"]


class Cycle(msgspec.Struct, frozen=True):
    """Nodes that wait for each other; `path` begins and ends with the same one, each waiting for its successor."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return " -> ".join(self.path)


def topological_levels(needs: Mapping[str, Collection[str]]) -> tuple[tuple[str, ...], ...] | Cycle:
    """Kahn's algorithm over `needs` (node -> the nodes that it waits for; unknown ones are ignored).

    Gives levels, each in the mapping's order: a node's level is one more than the highest of what it waits for. Gives a
    Cycle if there is one. Linear in nodes and edges, without recursion.
    """
    waiting = {node: {other for other in others if other in needs} for node, others in needs.items()}
    followers: dict[str, list[str]] = {node: [] for node in needs}
    open_edges = {}
    for node, others in waiting.items():
        open_edges[node] = len(others)
        for other in others:
            followers[other].append(node)

    order = {node: place for place, node in enumerate(needs)}
    levels: list[tuple[str, ...]] = []
    level = [node for node, count in open_edges.items() if count == 0]
    settled = 0
    while level:
        levels.append(tuple(level))
        settled += len(level)
        freed: list[str] = []
        for node in level:
            for follower in followers[node]:
                open_edges[follower] -= 1
                if open_edges[follower] == 0:
                    freed.append(follower)
        level = sorted(freed, key=order.__getitem__)
    if settled == len(needs):
        return tuple(levels)
    return _name_cycle({node: waiting[node] for node, count in open_edges.items() if count}, order)


def _name_cycle(stuck: Mapping[str, Collection[str]], order: Mapping[str, int]) -> Cycle:
    """Every stuck node waits for a stuck one, so a walk along them must come back to where it has been."""
    node = min(stuck, key=order.__getitem__)
    walked: dict[str, int] = {}
    while node not in walked:
        walked[node] = len(walked)
        node = min((other for other in stuck[node] if other in stuck), key=order.__getitem__)
    path = list(walked)[walked[node] :]
    return Cycle((*path, node))
