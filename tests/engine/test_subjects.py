import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.subjects import check_capture, check_subject, cover, matches, overlaps

tokens = st.sampled_from(["a", "b", "c"])
subjects = st.lists(tokens, min_size=1, max_size=4).map(".".join)
patterns = st.tuples(
    st.lists(st.sampled_from(["a", "b", "c", "*"]), max_size=3), st.sampled_from(["a", "b", "*", ">"])
).map(lambda parts: ".".join([*parts[0], parts[1]]))


@pytest.mark.parametrize(
    "subject", ["a", "sensors.fridge.temperature", "größe.Ω", "a-b_c.$d", "$KV.bucket.key", "x" * 255]
)
def test_a_subject_is_accepted(subject: str) -> None:
    check_subject(subject, wildcards=False)


@pytest.mark.parametrize("subject", ["*", ">", "a.*", "a.>", "*.b.>", "a.*.c"])
def test_a_pattern_is_accepted_only_where_wildcards_are(subject: str) -> None:
    check_subject(subject, wildcards=True)
    with pytest.raises(ValueError, match="wildcard"):
        check_subject(subject, wildcards=False)


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("", "empty"),
        (".a", "empty token"),
        ("a.", "empty token"),
        ("a..b", "empty token"),
        ("a b", "' '"),
        ("a\r\nPUB x", r"\\r"),
        ("a\x00b", "control"),
        ("a\x7f", "control"),
        ("a\u00a0b", "spaces"),
        ("a\u2028b", "spaces"),
        ("a\ud800", "surrogate"),
        ("é" * 128, "256 bytes"),
        ("a.>.b", "before its end"),
        ("sen*.a", "stand alone"),
        ("$JS.API.INFO", "reserved"),
        ("$SYS.x", "reserved"),
        ("_INBOX.>", "reserved"),
    ],
)
def test_a_subject_is_refused_with_its_reason(subject: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_subject(subject, wildcards=True)


@pytest.mark.parametrize("subject", ["*", ">", "*.temperature", "*.>", "ganglion.event.>", "ganglion.>"])
def test_what_no_stream_may_capture_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match=r"stream"):
        check_capture(subject)


@given(st.lists(patterns.filter(lambda one: one[0] not in "*>"), max_size=6))
def test_a_cover_of_what_a_stream_may_capture_may_be_captured(given_patterns: list[str]) -> None:
    for one in (*given_patterns, *cover(given_patterns)):
        check_capture(one)


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("*.b", "a.b", True),
        (">", "a", True),
        ("a", "b", False),
        ("a.*.c", "a.b.d", False),
    ],
)
def test_a_pattern_matches(pattern: str, subject: str, expected: bool) -> None:
    assert matches(pattern, subject) is expected


@pytest.mark.parametrize(
    ("given_patterns", "expected"),
    [
        ((), ()),
        (("a.*", "a.b"), ("a.*",)),
        (("a.*.c", "a.b.*"), ("a.*.*",)),
        (("a.b.>", "a.*.c"), ("a.*.>",)),
        (("a.>", "a.b.c", "b"), ("a.>", "b")),
        (("a.b", "a.b.>"), ("a.b", "a.b.>")),
        (("a.b", "a.c"), ("a.b", "a.c")),
        (("a.*.c", "a.b.*", "a.x.y"), ("a.*.*",)),
    ],
)
def test_a_cover_is_the_finest(given_patterns: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert cover(given_patterns) == expected


@given(patterns, patterns, subjects)
def test_patterns_that_share_a_subject_overlap(a: str, b: str, subject: str) -> None:
    assert overlaps(a, b) is overlaps(b, a)
    if matches(a, subject) and matches(b, subject):
        assert overlaps(a, b)


@given(patterns, patterns)
def test_patterns_that_overlap_share_a_subject(a: str, b: str) -> None:
    def exact(one: str, other: str) -> list[str]:
        ours, theirs = one.split("."), other.split(".")
        made = []
        for place in range(max(len(ours), len(theirs))):
            pair = [ours[min(place, len(ours) - 1)], theirs[min(place, len(theirs) - 1)]]
            named = [token for token in pair if token not in ("*", ">")]
            made.append(named[0] if named else "c")
        return made

    shared = ".".join(exact(a, b))
    assert overlaps(a, b) is (matches(a, shared) and matches(b, shared))


@given(st.lists(patterns, max_size=8), subjects)
def test_a_cover_holds_every_subject_and_no_two_of_it_overlap(given_patterns: list[str], subject: str) -> None:
    result = cover(given_patterns)
    for place, one in enumerate(result):
        check_subject(one, wildcards=True)
        assert not any(overlaps(one, other) for other in result[place + 1 :])
    if any(matches(pattern, subject) for pattern in given_patterns):
        assert sum(matches(one, subject) for one in result) == 1


@given(st.lists(patterns, max_size=6).flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_a_cover_does_not_depend_on_the_order(pair: tuple[list[str], list[str]]) -> None:
    assert cover(pair[0]) == cover(pair[1])
    assert cover(cover(pair[0])) == cover(pair[0])
