"""When a provider that says "too much" may be asked again.

`Retry-After` is RFC 9110's; `retry-after-ms` stands beside it at OpenAI and Azure. Where neither came: the resets of
the limits that are used up, `x-ratelimit-reset-requests` and `-tokens` with durations such as `6m0s` (OpenAI's rate
limit guide), `anthropic-ratelimit-…-reset` with times (Anthropic's, API version 2023-06-01).
"""

import re
from collections.abc import Mapping

from engine.clock import parse_time
from plugins.http_answer import MAX_WAIT, retry_after

__all__ = ["seconds_to_wait"]

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")
_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LIMITS = (
    "x-ratelimit-{}-requests", "x-ratelimit-{}-tokens", "anthropic-ratelimit-requests-{}",
    "anthropic-ratelimit-tokens-{}", "anthropic-ratelimit-input-tokens-{}", "anthropic-ratelimit-output-tokens-{}",
)  # fmt: skip


def seconds_to_wait(headers: Mapping[str, str], now: int) -> float:
    """Seconds, an hour at most; 0 where nothing is said. `now` is in microseconds since 1970."""
    exact = headers.get("retry-after-ms", "").strip()
    if exact.isascii() and exact.isdigit():
        return min(int(exact[:12]) / 1000, MAX_WAIT)
    if "retry-after" in headers:
        return retry_after(headers["retry-after"], now)
    used_up = [limit for limit in _LIMITS if headers.get(limit.format("remaining"), "").strip() == "0"]
    resets = [_reset(headers.get(limit.format("reset"), ""), now) for limit in used_up]
    return min(max(resets, default=0.0), MAX_WAIT)


def _reset(text: str, now: int) -> float:
    """A duration (`1s`, `6m0s`, `120ms`), seconds, or a time."""
    text = text.strip()
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return max(0.0, float(text)) if "-" not in text else max(0.0, (parse_time(text) - now) / 1_000_000)
    except (ValueError, OverflowError):
        return 0.0
