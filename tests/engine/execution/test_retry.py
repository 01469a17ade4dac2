"""The bounds of the back-off."""

import random

from hypothesis import given
from hypothesis import strategies as st

from engine.definition.model import Backoff, RetryPolicy
from engine.execution.retry import retry_delay

seconds = st.floats(0, 1e6)
policies = st.builds(
    RetryPolicy,
    max=st.integers(0, 1_000_000),
    delay=seconds,
    backoff=st.sampled_from(Backoff),
    max_delay=seconds,
    jitter=st.booleans(),
)


def delays(policy: RetryPolicy, count: int) -> list[float]:
    return [retry_delay(policy, attempt, 0.0, jitter=random.Random(1)) for attempt in range(1, count + 1)]


def test_exponential_delay_doubles_up_to_the_maximum():
    policy = RetryPolicy(delay=1.0, max_delay=5.0, jitter=False)

    assert delays(policy, 5) == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_linear_delay_grows_by_itself():
    assert delays(RetryPolicy(delay=2.0, backoff=Backoff.LINEAR, jitter=False), 3) == [2.0, 4.0, 6.0]


def test_constant_delay_stays():
    assert delays(RetryPolicy(delay=2.0, backoff=Backoff.CONSTANT, jitter=False), 3) == [2.0, 2.0, 2.0]


@given(policies, st.integers(1, 1_000_000), st.integers())
def test_jitter_keeps_at_least_half_and_never_more_than_the_maximum(policy, attempt, seed):
    plain = RetryPolicy(delay=policy.delay, backoff=policy.backoff, max_delay=policy.max_delay, jitter=False)
    whole = retry_delay(plain, attempt, 0.0, jitter=random.Random(0))

    delay = retry_delay(policy, attempt, 0.0, jitter=random.Random(seed))

    assert whole / 2 <= delay <= whole <= policy.max_delay


@given(policies, st.integers(1, 100), seconds)
def test_what_the_node_asks_for_is_the_least(policy, attempt, after):
    assert retry_delay(policy, attempt, after, jitter=random.Random(0)) >= after
