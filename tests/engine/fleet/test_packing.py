import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fleet.packing import packed, unpacked
from engine.ids import new_execution_id


@given(st.integers(0, 2**48 * 1000 - 1))
def test_an_id_of_ours_takes_16_bytes_and_comes_back(now):
    id = new_execution_id(now)
    assert len(packed(id)) == 16
    assert unpacked(packed(id)) == id


@given(st.text() | st.text("0123456789abcdefghjkmnpqrstvwxyz_ iloU", min_size=26, max_size=26))
def test_any_other_id_comes_back_as_it_is(id):
    assert unpacked(packed(id)) == id


@pytest.mark.parametrize("id", [*("0" * 25 + odd for odd in "_Ai é"), "8" + "0" * 25, " " + "0" * 25])
def test_what_only_looks_like_an_id_of_ours_is_kept_as_it_is(id):
    assert packed(id) == id
