"""Any workflow, killed behind any of its commits: what is left goes on to the same end.

The machine is that of the simulation, and nothing else happens to it.
"""

import random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.simulation.scenario import Death, Scenario
from tests.simulation.simulation import play_scenario
from tests.simulation.workflows import random_spec


def work(seed: int, deaths: tuple[Death, ...]) -> Scenario:
    """One message to a random workflow."""
    spec = random_spec(random.Random(seed), "w")
    assume(not spec.is_timed)
    message = (1 + seed % 5, "w", 0.0, True)
    return Scenario(seed=seed, specs=(spec,), messages=(message,), deaths=deaths, downtimes=(0.0,) * len(deaths))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 25))
def test_killed_behind_any_commit_it_comes_to_the_same_end(seed, commits):
    report = play_scenario(work(seed, (Death(at_point=("after-commit", commits)),)))

    assert not report.violations, "\n".join(report.violations)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000), st.lists(st.integers(1, 12), min_size=2, max_size=6))
def test_killed_before_a_commit_again_and_again_it_comes_to_the_same_end(seed, commits):
    report = play_scenario(work(seed, tuple(Death(at_point=("before-commit", count)) for count in commits)))

    assert not report.violations, "\n".join(report.violations)
