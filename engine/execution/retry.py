"""How long to wait before the next try of a node."""

import random

from engine.definition.model import Backoff, RetryPolicy


def retry_delay(policy: RetryPolicy, attempt: int, after: float, *, jitter: random.Random) -> float:
    """Seconds until the try that follows `attempt` (1 for the first), at least `after`.

    Exponential back-off with "equal jitter": half of the delay is kept, half is random, so that many nodes that failed
    together do not come back together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    delay = policy.delay
    if policy.backoff is Backoff.EXPONENTIAL:
        delay *= 2.0 ** min(attempt - 1, 60)
    elif policy.backoff is Backoff.LINEAR:
        delay *= attempt
    delay = min(delay, policy.max_delay)
    if policy.jitter:
        delay = delay / 2 + jitter.random() * delay / 2
    return max(delay, after)
