"""An execution whole, however large: what an answer had no room for is asked for, page by page."""

from typing import TYPE_CHECKING

import msgspec

from engine.control.views import BodyInfo, NodeInfo, Show, Shown

if TYPE_CHECKING:
    from mesh.client import ServiceClient


async def whole(client: "ServiceClient", execution: str) -> Shown:
    """All nodes and all bodies."""
    shown = await client.call("show", Show(execution=execution, all=True), Shown)
    nodes, more = list(shown.nodes), shown.more
    while more:
        page = await client.call("show", Show(execution=execution, all=True, after=len(nodes)), Shown)
        if not page.nodes:
            break
        nodes += page.nodes
        more = page.more
    return msgspec.structs.replace(shown, nodes=[await _whole_node(client, execution, node) for node in nodes], more=0)


async def whole_node(client: "ServiceClient", execution: str, path: str) -> Shown:
    """One node and all that is in it."""
    shown = await client.call("show", Show(execution=execution, node=path, all=True), Shown)
    return msgspec.structs.replace(shown, nodes=[await _whole_node(client, execution, node) for node in shown.nodes])


async def _whole_node(client: "ServiceClient", execution: str, node: NodeInfo) -> NodeInfo:
    bodies, more = list(node.bodies), node.more
    while more:
        request = Show(execution=execution, node=node.path, all=True, after=len(bodies))
        [page] = (await client.call("show", request, Shown)).nodes
        if not page.bodies:
            break
        bodies += page.bodies
        more = page.more
    filled: list[BodyInfo] = []
    for body in bodies:
        inner = [await _whole_node(client, execution, found) for found in body.nodes]
        filled.append(msgspec.structs.replace(body, nodes=inner))
    return msgspec.structs.replace(node, bodies=filled, more=0)
