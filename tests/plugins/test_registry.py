import msgspec
import pytest

from plugins.nodes import builtin_types
from plugins.nodes.fail import FAIL
from plugins.nodes.log import LOG
from plugins.registry import Registry


def test_a_type_is_found_by_its_name_and_its_aliases() -> None:
    renamed = msgspec.structs.replace(LOG, name="write", aliases=("log",))
    registry = Registry([renamed])
    assert registry.get("write") is renamed
    assert registry.get("log") is renamed
    assert registry.get("nothing") is None


def test_names_are_sorted_and_without_aliases() -> None:
    registry = Registry([msgspec.structs.replace(LOG, aliases=("print",)), FAIL])
    assert registry.names() == ("fail", "log")


def test_all_builtin_types_fit_into_one_registry() -> None:
    assert set(Registry(builtin_types()).names()) == {node_type.name for node_type in builtin_types()}


def test_a_name_that_two_types_claim_is_refused() -> None:
    with pytest.raises(ValueError, match="node types fail and log both claim the name 'fail'"):
        Registry([FAIL, msgspec.structs.replace(LOG, aliases=("fail",))])


def test_a_name_that_is_not_valid_is_refused() -> None:
    with pytest.raises(ValueError, match="does not match"):
        Registry([msgspec.structs.replace(LOG, name="Log!")])


def test_a_disabled_type_is_known_and_says_how_to_turn_it_on() -> None:
    registry = Registry([msgspec.structs.replace(LOG, aliases=("print",)), FAIL], disabled={"log": "set x = true"})
    assert registry.get("log") is not None
    assert registry.disabled("log") == registry.disabled("print") == "set x = true"
    assert registry.disabled("fail") is None
    assert registry.disabled("nothing") is None


def test_disabling_a_type_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot disable the node type 'shel'"):
        Registry([LOG], disabled={"shel": "off"})
