from engine.ids import new_execution_id

NOW = 1_795_000_000_000_000


def test_an_id_is_26_digits_that_sort_by_time() -> None:
    ids = [new_execution_id(NOW + step * 1000) for step in range(1000)]
    assert sorted(ids) == ids
    assert {len(one) for one in ids} == {26}
    assert set("".join(ids)) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_ids_of_one_moment_differ() -> None:
    assert len({new_execution_id(NOW) for _ in range(10_000)}) == 10_000


def test_the_time_is_that_of_a_ulid() -> None:
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    milliseconds = 0
    for digit in new_execution_id(NOW)[:10]:
        milliseconds = milliseconds * 32 + digits.index(digit)
    assert milliseconds == NOW // 1000
