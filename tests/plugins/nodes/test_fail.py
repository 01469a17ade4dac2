import msgspec
import pytest

from engine.contract import Fail
from plugins.nodes.fail import FAIL


async def test_fail_fails_for_good_with_message_and_kind(attempt) -> None:
    assert await attempt(FAIL, message="no", kind="implausible") == Fail("no", kind="implausible")


def test_fail_refuses_a_kind_that_is_not_one_word() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"message": "no", "kind": "two words"}, FAIL.params)
