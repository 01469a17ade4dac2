"""What to do next about a node or an execution that did not do what it should: one sentence for each kind of error."""

import re

from engine.control.messages import ExecutionInfo
from engine.control.views import NodeInfo
from engine.values import Json

_RETRY = "then `ganglion retry {id}` goes on from there"
_FORK = (
    "correct the file and deploy it; `ganglion fork {id} --version N` takes over what was done so far, or "
    "`ganglion retry {id} --from {node}` if only the inputs were at fault"
)
BY_KIND = {
    "timeout": f"raise its `timeout`, or find out what is slow; {_RETRY}",
    "unreachable": f"nothing answered: see whether it is up and can be reached from this machine; {_RETRY}",
    "no_responders": f"nobody serves that subject: start who does; {_RETRY}",
    "service_error": f"the service refused: its answer says why; {_RETRY}",
    "secret": f"give the agent the secret; {_RETRY}",
    "expression": _FORK,
    "invalid": _FORK,
    "outputs": "correct `outputs` in the file, deploy it, and `ganglion fork {id} --version N`",
    "invalid_answer": f"the answer is not what its headers say: see what answers there; {_RETRY}",
    "invalid_output": _FORK,
    "too_large": f"ask for less, or raise the node's limit in the file; {_RETRY}",
    "bug": "the node type has a bug: the agent's log has the details; report it",
    "not_runnable": f"install the program, or correct its name; {_RETRY}",
    "not_found": f"deploy what is missing; {_RETRY}",
    "not_allowed": "only what stands in the workflow directory can be started: move it there",
    "recursion": "the workflows start each other without end: give them one",
    "resolved": f"somebody said that it failed; {_RETRY}",
    "poison": f"it seems to kill the process: see the agent's log and what its nodes do; {_RETRY}",
    "cancelled": "`ganglion retry {id}` lets it go on where it stopped",
    "blocked": "update the agent, or install the plugin that is missing; it goes on by itself at the next start",
}
_PATTERNS = (
    (r"http_(401|403)", f"it may not do this there: check its credentials and rights; {_RETRY}"),
    (r"http_404", f"there is nothing at that address: check the URL; {_RETRY}"),
    (r"http_4\d\d", f"the request was refused: check what the node sends; {_RETRY}"),
    (r"http_5\d\d", f"the service has a problem of its own: wait or mend it; {_RETRY}"),
    (r"(exit|signal)_\d+", f"the program failed: its messages are in the error; {_RETRY}"),
)
_OTHERWISE = f"mend what the message says; {_RETRY}"
IN_DOUBT = (
    "nobody knows whether it happened: look, then `ganglion resolve {id} '{node}' --completed JSON | --failed MESSAGE "
    "| --retry`"
)


def remedy(execution: str, kind: str, node: str) -> str:
    """What to do about an error of this kind; `node` is its path, empty for the execution itself."""
    text = BY_KIND.get(kind) or next((text for pattern, text in _PATTERNS if re.fullmatch(pattern, kind)), _OTHERWISE)
    return text.format(id=execution, node=f"'{node}'" if "[" in node else node or "NODE")


def node_remedy(execution: str, node: NodeInfo) -> str:
    """The same for a node that did not go on; empty where nothing is to be done."""
    if node.status == "in_doubt":
        return IN_DOUBT.format(id=execution, node=node.path)
    if node.status == "failed":
        return remedy(execution, kind_of(node.error), node.path)
    if node.waits_for.startswith("form "):
        return f"`ganglion forms` shows it, `ganglion submit {node.waits_for.split()[1].rstrip(':')}` answers it"
    if node.child and node.status == "waiting":
        return f"`ganglion show {node.child}` shows how far that one is"
    return ""


def whole_remedy(info: ExecutionInfo) -> str:
    """What one can do with an execution in its state; empty where the nodes tell more, or there is nothing to do."""
    match info.status:
        case "paused":
            return f"`ganglion resume {info.execution}` lets it go on"
        case "partial":
            return f"`ganglion retry {info.execution}` tries again what failed"
        case "cancelled":
            return remedy(info.execution, "cancelled", "")
        case "running" | "pausing" | "cancelling" | "waiting" | "queued":
            return f"`ganglion show {info.execution} --follow` stays with it"
    return ""


def kind_of(error: Json) -> str:
    """The one word of an error."""
    return str(error.get("kind", "")) if isinstance(error, dict) else ""


def message_of(error: Json) -> str:
    """Its sentence."""
    return str(error.get("message", "")) if isinstance(error, dict) else str(error or "")
