"""Bodies of which each opening runs one node alone, and bodies whose nodes stand in no file; on a type of the test."""

import asyncio
from typing import Annotated

import msgspec
import pytest

from engine.construct import Body, Ending, Opening
from engine.contract import Context, Done, Effect, Fail, Inner, NodeType, Outcome
from engine.definition import InvalidWorkflow, json_schema
from engine.reference import describe
from engine.states import ExecutionState, NodeState
from engine.values import Json


class DanceParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    moves: list[str]
    nodes: Annotated[dict[str, Json], Inner]
    says: Annotated[dict[str, Json], Inner] = {}
    note: Annotated[Json, Inner] = None
    until: Annotated[str | None, Inner] = None
    volume: int = 0


class Dance:
    """Makes its moves one after the other; after each one there is a note, if it takes notes, and it may end early."""

    concurrency = 1

    def __init__(self, params: DanceParams, bodies: dict[str, tuple[str, ...]]) -> None:
        self._left = list(params.moves)
        self._then = [body for body in ("notes", "ends") if body in bodies]
        self._next: list[Opening] = []
        self._volume = "x" * params.volume
        self._number = 0
        self._open = self._over = self._stopped = False
        self._failed: Ending | None = None
        self._given: list[Json] = []

    def next(self) -> Opening | Done | Fail | None:
        if self._open:
            return None
        if self._failed is not None:
            return Fail(self._failed.message, kind=self._failed.kind)
        if self._stopped:
            return Fail("stopped", kind="cancelled")
        if not self._next and self._left and not self._over:
            move, number = self._left.pop(0), self._number
            self._number += 1
            names = {"move": move, "noise": self._volume}
            self._next = [Opening("steps", f"/step[{number}]", names, move)]
            self._next += [Opening(body, f"/{body}[{number}]", names) for body in self._then]
        if not self._next:
            return Done(self._given)
        self._open = True
        return self._next.pop(0)

    def refused(self, opening: Opening) -> None:
        raise RuntimeError

    def ended(self, ending: Ending) -> None:
        self._open = False
        if ending.opening.body == "ends":
            self._over = ending.values["ends"] is True
        elif ending.state is NodeState.COMPLETED:
            self._given.append(ending.values["output"])
        elif ending.opening.body == "steps":
            self._given.append({"error": ending.kind})
        else:
            self._failed = ending

    def stop(self) -> None:
        self._stopped = True

    def transcript(self) -> list[dict[str, Json]]:
        return [{"role": "dancer", "content": str(given)} for given in self._given]


def _notes(fields: dict[str, Json]) -> dict[str, Json] | None:
    if "note" not in fields:
        return None
    return {"note": {"type": "act", "data": fields["note"], **({} if fields["note"] != "!" else {"timeout": "fast"})}}


async def run(ctx: Context, params: DanceParams) -> Outcome:
    return Fail("opened, not run", kind="bug")


DANCE = NodeType(
    name="dance", description="", params=DanceParams, run=run, effect=Effect.AT_LEAST_ONCE, construct=Dance, example="",
    transcribes=True,
    bodies={
        "steps": Body(choice=lambda name: ("says", name), names=lambda _: ("move", "noise"), handled=True),
        "notes": Body(made=_notes, names=lambda _: ("move", "noise"), after={"output": ()}),
        "ends": Body(made=lambda fields: {} if "until" in fields else None, names=lambda _: ("move", "noise"),
                     asks={"ends": ("until",)}),
    },
)  # fmt: skip
TEXT = """\
name: w
vars: {mood: 1}
nodes:
  note: {type: set, vars: {mood: 2}}
  act:
    type: dance
    needs: note
    moves: [hop, turn, hop]
    says: {turn: "turned {{ nodes.turn }}"}
    note: "{{ move }} in mood {{ vars.mood }}"
    nodes:
      hop: {type: act, data: "{{ move }}"}
      turn: {type: act, data: "{{ vars.mood }}"}
  last: {type: act, data: "{{ nodes.act }}"}
outputs: {given: "{{ nodes.last }}", mood: "{{ vars.mood }}"}
"""
OTHER = TEXT.replace("  note: {type: set", "  mark: {type: set").replace("needs: note", "needs: mark")
"""No node of the file is named like the one that is made."""
GIVEN = ["hop", "hop in mood 2", "turned 2", "turn in mood 2", "hop", "hop in mood 2"]
ROWS = {
    "note", "act", "last",
    "act/step[0]", "act/step[0]/hop", "act/notes[0]", "act/notes[0]/note",
    "act/step[1]", "act/step[1]/turn", "act/notes[1]", "act/notes[1]/note",
    "act/step[2]", "act/step[2]/hop", "act/notes[2]", "act/notes[2]/note",
}  # fmt: skip


@pytest.fixture
def dancing(open_rig):
    return lambda **options: open_rig(more=(DANCE,), **options)


async def test_each_opening_runs_one_node_and_gives_what_its_text_says(dancing, decoded):
    async with dancing() as rig:
        row = await rig.run(TEXT)
        assert decoded(row.outputs) == {"given": GIVEN, "mood": 2}
        assert (await rig.nodes(row.id)).keys() == ROWS
        assert (row.status, decoded(row.statistics)["failed"]) == (ExecutionState.COMPLETED, 0)


async def test_a_made_node_and_one_of_the_file_have_one_name_and_are_not_taken_for_each_other(dancing, decoded):
    """`note` of the file sets variables; what the made one gives is no variable, also after a restart."""
    held = asyncio.Event()

    async def wait(ctx, data):
        held.set()
        await asyncio.Event().wait()

    async with dancing() as rig:
        rig.acts["last"] = wait
        await rig.deploy(TEXT.replace('"{{ move }} in mood {{ vars.mood }}"', '{mood: "{{ move }}"}'))
        id = await rig.start()
        await held.wait()
    async with dancing() as rig:
        row = await rig.end(id)
        assert decoded(row.outputs)["mood"] == 2
        shown = await rig.ask("show", execution=row.id, all=True)
        act = next(node for node in shown["nodes"] if node["path"] == "act")
        types = {node["path"]: node["type"] for body in act["bodies"] for node in body["nodes"]}
        assert (types["act/notes[0]/note"], types["act/step[0]/hop"]) == ("act", "act")
        assert next(node["type"] for node in shown["nodes"] if node["path"] == "note") == "set"


async def test_a_body_without_nodes_is_only_asked(dancing, decoded):
    async with dancing() as rig:
        text = TEXT.replace("    note: ", '    until: move == "turn"\n    note: ')
        row = await rig.run(text)
        assert decoded(row.outputs)["given"] == GIVEN[:4]
        rows = await rig.nodes(row.id)
        assert [decoded(rows[f"act/ends[{n}]"].output) for n in (0, 1)] == [{"ends": False}, {"ends": True}]


async def test_after_a_restart_what_had_ended_is_not_run_again(dancing, acting, decoded):
    held = asyncio.Event()

    async def wait(ctx, data):
        held.set()
        await asyncio.Event().wait()

    async with dancing(acting=acting) as rig:
        acting.acts["act/notes[1]/note"] = wait
        await rig.deploy(TEXT)
        id = await rig.start()
        await held.wait()
    acting.acts.clear()
    before = len(acting.calls)
    async with dancing(acting=acting) as rig:
        row = await rig.end(id)
    assert decoded(row.outputs)["given"] == GIVEN
    assert [call.path for call in acting.calls[before:]] == [
        "act/notes[1]/note", "act/step[2]/hop", "act/notes[2]/note", "last"
    ]  # fmt: skip


async def test_a_failure_that_was_handled_is_not_tried_again_by_a_retry(dancing, decoded):
    async def refuse(ctx, data):
        return Fail("no", kind="refused")

    async with dancing() as rig:
        rig.acts["act/step[0]/hop"] = rig.acts["act/notes[2]/note"] = refuse
        row = await rig.run(TEXT)
        assert row.status is ExecutionState.FAILED
        rig.acts.clear()
        before = len(rig.calls)
        retried = await rig.engine.rerun.retry(row.id)
        assert "act/step[0]" not in retried.forgotten
        await rig.event(lambda event: event.kind == "workflow.completed" and event.execution == row.id)
        assert rig.ran()[before:] == ["act/notes[2]/note", "last"]
        assert decoded((await rig.row(row.id)).outputs)["given"] == [{"error": "refused"}, *GIVEN[1:]]


async def test_it_goes_back_to_a_made_node_and_forgets_what_came_after(dancing, decoded):
    async with dancing() as rig:
        row = await rig.run(TEXT)
        before = len(rig.calls)
        forked = await rig.engine.forking.fork(row.id, place="act/notes[1]/note")
        row = await rig.end(forked.execution)
        assert rig.ran()[before:] == ["act/notes[1]/note", "act/step[2]/hop", "act/notes[2]/note", "last"]
        assert decoded(row.outputs)["given"] == GIVEN


async def test_another_text_for_a_result_is_another_definition(dancing):
    async with dancing() as rig:
        row = await rig.run(TEXT)
        await rig.deploy(TEXT.replace("turned", "spun"))
        forked = await rig.engine.forking.fork(row.id, version=2)
        assert forked.changed == ["act"]
        row = await rig.end(forked.execution)
        assert b"spun 2" in row.outputs


async def test_what_a_body_is_opened_with_is_not_stored(dancing, tmp_path):
    async with dancing() as rig:
        row = await rig.run(TEXT.replace("    moves:", "    volume: 300000\n    moves:"))
        assert row.status is ExecutionState.COMPLETED
        rows = await rig.nodes(row.id)
        assert sum(len(row.output or b"") for row in rows.values()) < 2000
        assert not any(row.large for row in rows.values())


async def test_show_tells_the_node_that_ran_and_what_was_said(dancing):
    async with dancing() as rig:
        row = await rig.run(TEXT.replace("  last: {type: act", "  last: {type: act, needs: act"))
        shown = await rig.ask("show", execution=row.id, node="act")
        [act] = shown["nodes"]
        bodies = {body["path"]: body for body in act["bodies"]}
        assert [node["path"] for node in bodies["act/step[1]"]["nodes"]] == ["act/step[1]/turn"]
        assert bodies["act/step[1]"]["names"]["move"] == "turn"
        assert bodies["act/notes[1]"]["names"] is None
        assert [said["content"] for said in act["transcript"]] == GIVEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("says: {turn: \"turned {{ nodes.turn }}\"}", "says: {turn: \"{{ nodes.hop }}\"}"),
         "nodes.act.says.turn: hop has not run when this is asked (it sees what comes before)"),
        (("data: \"{{ vars.mood }}\"", "data: \"{{ nodes.hop }}\""),
         "nodes.act.nodes.turn.data: hop has not run when this is asked (it sees what comes before)"),
        (("turn: {type: act,", "turn: {type: act, needs: hop,"),
         "nodes.act.nodes.turn.needs: the nodes of act run alone, each when it is asked for (remove needs)"),
        (("note: \"{{ move }} in mood {{ vars.mood }}\"", "note: \"!\""),
         "nodes.act.timeout: expected a duration such as 30s, got \"fast\""),
        (("note: \"{{ move }} in mood {{ vars.mood }}\"", "note: \"{{ nodes.later }}\""),
         "nodes.act.data: there is no node later (did you mean last?)"),
        (("turn: {type: act,", "note: {type: act,"),
         "nodes.act.nodes.note: act has a node note of its own (rename this one)"),
    ],
    ids=["result", "sibling", "needs", "made", "reference", "name"],
)  # fmt: skip
async def test_what_is_wrong_is_told_where_it_is_written(dancing, change, said):
    async with dancing() as rig:
        with pytest.raises(InvalidWorkflow) as caught:
            await rig.deploy(OTHER.replace(*change))
    assert said in [str(problem).partition(": ")[2] for problem in caught.value.problems]


async def test_nothing_outside_refers_to_a_made_node(dancing):
    async with dancing() as rig:
        with pytest.raises(InvalidWorkflow, match="there is no node note"):
            await rig.deploy(OTHER.replace('given: "{{ nodes.last }}"', 'given: "{{ nodes.note }}"'))


async def test_editors_and_people_are_told_of_the_nodes_in_the_file_alone(dancing):
    async with dancing() as rig:
        schema = json_schema(rig.engine.catalogue._types)["$defs"]["node_dance"]
    assert sorted(schema["required"]) == ["moves", "nodes", "type"]
    assert {row.name: row.type for row in describe(DANCE).params}["until"] == "expression"


async def test_long_transcripts_of_many_nodes_fit_into_an_answer(dancing):
    moves = ", ".join(["hop"] * 60)
    text = f"""\
name: w
nodes:
  scan:
    type: foreach
    items: "[1, 2, 3, 4, 5, 6, 7, 8]"
    nodes:
      act: {{type: dance, moves: [{moves}], nodes: {{hop: {{type: calc, data: "{{{{ 'x' * 1 }}}}{"y" * 3000}"}}}}}}
"""
    async with dancing() as rig:
        row = await rig.run(text.replace("{{ 'x' * 1 }}", ""))
        shown = await rig.ask("show", execution=row.id)
        assert len(msgspec.json.encode(shown)) <= 600 * 1024
        said = [node["transcript"] for body in shown["nodes"][0]["bodies"] for node in body["nodes"]]
        assert len(said[0]) == 60
        assert sum(map(len, said)) <= 400 + 10
        alone = await rig.ask("show", execution=row.id, node="scan[7]/act")
        assert len(alone["nodes"][0]["transcript"]) == 60
