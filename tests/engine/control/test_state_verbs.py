"""People look at what workflows keep, and change it."""

import pytest

from engine.control import Refused

COUNT = "name: w\nnodes: {count: {type: state, op: incr, key: n}}\noutputs: '{{ nodes.count }}'"


async def refusal(rig, verb: str, **fields) -> Refused:
    with pytest.raises(Refused) as refused:
        await rig.ask(verb, **fields)
    return refused.value


async def test_keys_are_listed_page_by_page_and_long_values_left_out(rig):
    for key, value in (("a", 1), ("b", "x" * 2000), ("c", {"x": None})):
        assert (await rig.ask("setstate", workflow="w", key=key, value=value))["message"] == f"{key} of w is set"
    page = await rig.ask("state", workflow="w", limit=2)
    assert [(entry["key"], entry.get("value", "-"), entry["size"]) for entry in page["entries"]] == [
        ("a", 1, 1),
        ("b", "-", 2002),
    ]
    assert page["more"] is True
    page = await rig.ask("state", workflow="w", after="b", limit=2)
    assert [entry["value"] for entry in page["entries"]] == [{"x": None}]
    assert page["more"] is False


async def test_one_key_is_shown_whole(rig):
    await rig.ask("setstate", workflow="w", key="b", value="x" * 2000)
    await rig.ask("setstate", workflow="w", key="b", value="y" * 2000)
    entry = await rig.ask("statekey", workflow="w", key="b")
    assert (entry["value"], entry["revision"]) == ("y" * 2000, 2)
    assert entry["changed_at"].startswith("20")


async def test_what_a_person_sets_the_next_execution_sees(rig, decoded):
    await rig.ask("setstate", workflow="w", key="n", value=41)
    assert decoded((await rig.run(COUNT)).outputs) == 42


async def test_a_deleted_key_is_gone(rig):
    await rig.ask("setstate", workflow="w", key="n", value=1)
    assert (await rig.ask("dropstate", workflow="w", key="n"))["message"] == "n of w is deleted"
    for verb in ("dropstate", "statekey"):
        refused = await refusal(rig, verb, workflow="w", key="n")
        assert (refused.code, refused.message) == (404, "w keeps no n; `ganglion state w` lists its keys")


async def test_a_workflow_that_nobody_knows_is_refused(rig):
    assert (await refusal(rig, "state", workflow="nope")).code == 404
    await rig.deploy(COUNT)
    assert (await rig.ask("state", workflow="w"))["entries"] == []


async def test_what_can_not_be_kept_is_refused(rig):
    refused = await refusal(rig, "setstate", workflow="w", key="", value=1)
    assert (refused.code, refused.message.startswith("a key is 1 to 256 bytes")) == (400, True)
    assert (await refusal(rig, "statekey", workflow="w", key="\n")).code == 409
