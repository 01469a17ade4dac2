from hypothesis import given
from hypothesis import strategies as st

from agent.file_watch.settling import Settling
from engine.triggers.found import FileIdentity

looks = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.floats(0, 3, allow_nan=False)), min_size=1, max_size=40
)


def identity(number: int) -> FileIdentity:
    return FileIdentity(1, number, 10)


@given(looks, st.floats(0, 5, allow_nan=False))
def test_a_file_is_at_rest_when_nothing_changed_for_the_whole_time(
    seen: list[tuple[str, int, float]], settle: float
) -> None:
    settling = Settling(settle)
    now = 0.0
    history: dict[str, list[tuple[float, int]]] = {}
    for file, version, pause in seen:
        now += pause
        history.setdefault(file, []).append((now, version))
        since = now
        for at, other in reversed(history[file]):
            if other != version:
                break
            since = at
        assert settling.look(file, identity(version), now) == (now - since >= settle)


@given(looks, st.floats(0.1, 5, allow_nan=False))
def test_who_looks_when_told_misses_no_file(seen: list[tuple[str, int, float]], settle: float) -> None:
    settling = Settling(settle)
    now = 0.0
    for file, version, pause in seen:
        now += pause
        settling.look(file, identity(version), now)
    last = dict.fromkeys("ab")
    for file, version, _ in seen:
        last[file] = version
    left = {file for file, version in last.items() if version is not None}
    for _ in range(2 * len(left)):
        due = settling.next_due()
        if due is None:
            break
        assert due <= now + settle
        now = max(now, due) + 1e-9
        for file in sorted(left):
            if settling.look(file, identity(last[file] or 0), now):
                settling.forget(file)
                left.discard(file)
    assert not left
    assert settling.next_due() is None


def test_a_file_in_use_waits_once_more() -> None:
    settling = Settling(2.0)
    settling.look("a", identity(1), 0.0)
    assert settling.look("a", identity(1), 2.0)
    settling.unsettle("a", 2.0)
    assert not settling.look("a", identity(1), 3.9)
    assert settling.look("a", identity(1), 4.0)


def test_files_that_are_gone_are_forgotten() -> None:
    settling = Settling(2.0)
    settling.look("a", identity(1), 0.0)
    settling.keep({"b"})
    assert settling.next_due() is None
    assert not settling.look("a", identity(1), 5.0)
