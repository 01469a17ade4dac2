"""What a node or an execution used, in a few words."""

from engine.control.views import NodeInfo
from engine.quantities import format_size
from engine.values import Json


def used_by(node: NodeInfo) -> str:
    """Of a node; empty for one that used nothing."""
    return _words(node.output_bytes, node.api_calls, node.llm_tokens)


def used_in_all(usage: Json) -> str:
    """Of a finished execution (`Shown.usage`), after what became of its nodes; empty before its end."""
    if not isinstance(usage, dict):
        return ""
    ends = [f"{usage[end]} {end}" for end in ("completed", "failed", "skipped", "cancelled") if usage.get(end)]
    words = _words(usage.get("output_bytes", 0), usage.get("api_calls", 0), usage.get("llm_tokens", 0))
    return "; ".join(filter(None, (", ".join(ends), words)))


def _words(output_bytes: int, api_calls: int, llm_tokens: int) -> str:
    parts = [f"{format_size(output_bytes)} of output"] if output_bytes else []
    parts += [f"{count} {name}" for count, name in ((api_calls, "API calls"), (llm_tokens, "tokens")) if count]
    return ", ".join(parts)
