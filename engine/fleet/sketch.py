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


def quantile(counts: Mapping[int, int], q: float) -> float:
    """Microseconds that the share `q` of the durations does not exceed: the one of rank q * (n - 1), rounded down.
    There is at least one."""
    rank = math.floor(q * (sum(counts.values()) - 1))
    buckets = sorted(counts)
    for bucket in buckets:
        rank -= counts[bucket]
        if rank < 0:
            return middle(bucket)
    return middle(buckets[-1])
