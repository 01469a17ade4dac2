"""Durations as counts of logarithmic buckets: any selection's quantiles are those of the sums.

DDSketch, after C. Masson, J. Rim, H. Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees", PVLDB 12(12), 2019. Bucket i holds durations of (GAMMA^(i-1), GAMMA^i] microseconds; its middle is at most
(GAMMA - 1) / (GAMMA + 1) = 1.48 % away from each of them.
"""

import math
from collections.abc import Mapping

GAMMA = 1.03
LONGEST = 10 * 365 * 86_400 * 1_000_000
"""Microseconds; a duration above counts as this."""
_LOG_GAMMA = math.log(GAMMA)


def bucket_of(micros: int) -> int:
    """Where a duration is counted; 0 holds everything up to a microsecond."""
    return math.ceil(math.log(micros) / _LOG_GAMMA) if micros > 1 else 0


def middle(bucket: int) -> float:
    """The duration in microseconds that stands for a bucket."""
    return 2.0 * GAMMA**bucket / (GAMMA + 1.0) if bucket else 1.0


def quantiles(counts: Mapping[int, int], *shares: float) -> list[float]:
    """For each share, the lowest first: the microseconds that this share of the durations does not exceed, which is the
    duration of rank share * (n - 1), rounded down. There is at least one."""
    last = sum(counts.values()) - 1
    ranks = [math.floor(share * last) for share in shares]
    found: list[float] = []
    passed = 0
    for bucket, count in sorted(counts.items()):
        passed += count
        while len(found) < len(ranks) and ranks[len(found)] < passed:
            found.append(middle(bucket))
        if len(found) == len(ranks):
            break
    return found
