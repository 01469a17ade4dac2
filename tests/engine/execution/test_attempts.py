"""One try of a node: what its code may do wrong, and what becomes of it."""

import asyncio
import enum
import math

import pytest

from engine.contract import Done, Fail, Retry, Wait
from engine.events import Kind
from engine.ports import NoResponders, Unreachable
from engine.states import ExecutionState

ONE = "name: w\nnodes:\n  a: {type: act%s}\n"


async def outcome_of(rig, act, fields: str = "", decoded=None):
    """Run one node with this code; the execution's row and its error."""
    rig.acts["a"] = act
    row = await rig.run(ONE % fields)
    return row, decoded(row.error) if decoded else None


def giving(outcome):
    async def act(ctx, data):
        return outcome

    return act


def raising(error):
    async def act(ctx, data):
        raise error

    return act


async def forever(ctx, data):
    await asyncio.Event().wait()


async def test_attempt_that_takes_too_long_is_cut_off(rig, decoded):
    row, error = await outcome_of(rig, forever, ", timeout: 20ms", decoded)

    assert row.status is ExecutionState.FAILED
    assert error == {"kind": "timeout", "message": "no result within 0.02 s", "node": "a"}


async def test_timeouts_are_retried_as_the_policy_says(rig, decoded):
    row, error = await outcome_of(rig, forever, ", timeout: 5ms, retry: {max: 2, delay: 1ms}", decoded)

    assert error["kind"] == "timeout"
    assert [call.attempt for call in rig.calls] == [1, 2, 3]
    assert len({call.key for call in rig.calls}) == 1
    assert [f.kind for f in await rig.facts(row.id) if f.node] == [Kind.NODE_RETRY, Kind.NODE_RETRY, Kind.NODE_FAILED]


async def test_deadline_covers_all_attempts(rig, decoded):
    row, error = await outcome_of(
        rig, forever, ", timeout: 30ms, deadline: 50ms, retry: {max: 100, delay: 1ms}", decoded
    )

    assert row.status is ExecutionState.FAILED
    assert error["kind"] == "timeout"
    assert 1 < len(rig.calls) < 5


async def test_node_sees_its_deadline_and_the_time_left(rig):
    seen = []

    async def act(ctx, data):
        seen.append((ctx.deadline - rig.store.clock.monotonic(), ctx.seconds_left()))
        return Done()

    await outcome_of(rig, act, ", timeout: 60s")

    [(deadline, left)] = seen
    assert 59 < deadline <= 60
    assert 59 < left <= 60


async def test_retry_comes_not_before_the_node_asked(rig):
    outcomes = [Retry("busy", after=0.05), Done(1)]

    async def act(ctx, data):
        return outcomes.pop(0)

    row, _ = await outcome_of(rig, act, ", retry: {max: 1, delay: 0s}")

    assert row.status is ExecutionState.COMPLETED
    [fact] = [f for f in await rig.facts(row.id) if f.kind is Kind.NODE_RETRY]
    assert b'"delay_seconds":0.05' in bytes(fact.data)
    assert row.finished_at - row.started_at >= 50_000


async def test_without_a_policy_nothing_is_retried(rig, decoded):
    _row, error = await outcome_of(rig, giving(Retry("busy", kind="busy")), "", decoded)

    assert error == {"kind": "busy", "message": "busy", "node": "a"}
    assert len(rig.calls) == 1


@pytest.mark.parametrize("error", [Unreachable("no route"), NoResponders("nobody there"), TimeoutError("too slow")])
async def test_faults_of_the_outside_follow_the_policy(rig, error, decoded):
    _row, told = await outcome_of(rig, raising(error), ", retry: {max: 1, delay: 0s}", decoded)

    assert len(rig.calls) == 2
    assert told["message"] == str(error)


async def test_fail_is_not_retried(rig):
    await outcome_of(rig, giving(Fail("no")), ", retry: {max: 5, delay: 0s}")

    assert len(rig.calls) == 1


async def test_exception_is_reported_as_a_bug_and_not_retried(rig, decoded):
    _row, error = await outcome_of(rig, raising(ZeroDivisionError("oops")), ", retry: {max: 5, delay: 0s}", decoded)

    assert error == {"kind": "bug", "message": "ZeroDivisionError: oops", "node": "a"}
    assert len(rig.calls) == 1
    [(level, message, fields)] = rig.logs
    assert (level, message) == ("error", "node type act has a bug")
    assert "in act" in fields["trace"]


async def test_node_that_awaits_something_cancelled_has_a_bug_and_does_not_hang(rig, decoded):
    async def act(ctx, data):
        lost = asyncio.get_running_loop().create_future()
        lost.cancel()
        await lost

    _row, error = await outcome_of(rig, act, "", decoded)

    assert error["kind"] == "bug"


async def test_pure_node_that_suspends_has_a_bug(rig, decoded):
    async def act(ctx, data):
        await asyncio.Event().wait()

    rig.acts["a"] = act
    row = await rig.run("name: w\nnodes:\n  a: {type: calc}\n")

    assert decoded(row.error)["kind"] == "bug"
    assert "must not" in decoded(row.error)["message"]


async def test_pure_node_that_does_not_stop_when_told_has_a_bug(rig, decoded):
    async def act(ctx, data):
        try:
            await asyncio.Event().wait()
        except GeneratorExit:
            await asyncio.Event().wait()

    rig.acts["a"] = act
    row = await rig.run("name: w\nnodes:\n  a: {type: calc}\n")

    assert decoded(row.error)["kind"] == "bug"


@pytest.mark.parametrize("what", ["http", "request", "publish", "secret"])
async def test_pure_node_gets_nothing_that_depends_on_the_world(rig, what, decoded):
    async def act(ctx, data):
        if what == "http":
            ctx.http  # noqa: B018
        elif what == "request":
            await ctx.request("a", b"", headers={}, timeout=1)
        elif what == "publish":
            ctx.publish("a", b"")
        else:
            from engine.secrets import SecretName, SecretText

            ctx.secret(SecretText(SecretName("KEY")))
        return Done()

    rig.acts["a"] = act
    row = await rig.run("name: w\nnodes:\n  a: {type: calc}\n")

    assert decoded(row.error)["kind"] == "bug"
    assert f"a pure node has no {what}" in decoded(row.error)["message"]


class Colour(enum.Enum):
    RED = "red"


class Thing:
    """Of no kind that JSON knows."""

    def __repr__(self) -> str:
        return "thing"


@pytest.mark.parametrize(
    "output",
    [Thing(), {1: 2}, math.nan, {"x": math.inf}, 2**64, {"deep": None}, b"bytes", Colour.RED, {"\ud800": 1}, "\ud800"],
    ids=str,
)
async def test_output_that_is_not_json_fails_the_node(rig, output, decoded):
    if output == {"deep": None}:
        for _ in range(100):
            output = [output]
    row, error = await outcome_of(rig, giving(Done(output)), "", decoded)

    assert row.status is ExecutionState.FAILED
    assert error["kind"] == "bug"


async def test_output_that_is_too_large_fails_the_node(open_rig, decoded):
    async with open_rig(max_output_bytes=1000) as rig:
        _row, error = await outcome_of(rig, giving(Done("x" * 999)), "", decoded)

        assert error["kind"] == "too_large"


async def test_later_nodes_see_what_the_row_holds(rig, decoded):
    shared = {"list": (1, 2)}

    async def first(ctx, data):
        return Done(shared)

    async def second(ctx, data):
        shared["list"] = "changed behind our back"
        return Done(data)

    rig.acts |= {"a": first, "b": second}
    row = await rig.run(
        "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, data: '{{ nodes.a.list == [1, 2] }}'}\n"
        "  c: {type: act, needs: b, data: '{{ nodes.a }}'}\noutputs: '{{ [nodes.b, nodes.c] }}'"
    )

    assert decoded(row.error) is None
    assert decoded(row.outputs) == [True, {"list": [1, 2]}]


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        "done",
        Done(1, port="left"),
        Retry("again", after=math.inf),
        Retry("again", after=math.nan),
        Wait(2**80),
        Wait("tomorrow"),
        Wait(0, memo=Thing()),
    ],
    ids=str,
)
async def test_outcome_that_makes_no_sense_is_a_bug_of_the_node(rig, outcome, decoded):
    _row, error = await outcome_of(rig, giving(outcome), ", retry: {max: 1}", decoded)

    assert error["kind"] == "bug"


@pytest.mark.parametrize("port", [None, "up"])
async def test_branching_node_must_take_a_port_that_it_has(rig, port, decoded):
    rig.acts["a"] = giving(Done(1, port=port))
    row = await rig.run("name: w\nnodes:\n  a: {type: ways}\n")

    assert decoded(row.error)["message"] == f"the node took the port {port!r}; its ports are: left, right"


@pytest.mark.parametrize("outcome", [Fail("bad \udcff name"), Fail(ValueError("x")), Retry("\udcff"), Fail("x" * 9000)])
async def test_errors_of_any_kind_can_be_stored(rig, outcome):
    row, _ = await outcome_of(rig, giving(outcome))

    assert row.status is ExecutionState.FAILED
    assert len(row.error) < 5000


async def test_error_of_an_exception_with_an_undecodable_name_can_be_stored(rig):
    row, _ = await outcome_of(rig, raising(FileNotFoundError("\udcff.txt")))

    assert row.status is ExecutionState.FAILED


async def test_past_wait_runs_again_at_once_with_its_memo(rig, decoded):
    async def act(ctx, data):
        if ctx.wake is None:
            return Wait(0, memo={"page": 2})
        return Done([ctx.wake.memo, ctx.attempt])

    rig.acts["a"] = act
    row = await rig.run("name: w\nnodes:\n  a: {type: act}\noutputs: '{{ nodes.a }}'")

    assert decoded(row.outputs) == [{"page": 2}, 1]


async def test_attempt_number_and_key_are_told_to_the_node(rig, decoded):
    async def act(ctx, data):
        if ctx.attempt < 3:
            return Retry("again")
        return Done([ctx.attempt, ctx.idempotency_key, data])

    rig.acts["a"] = act
    row = await rig.run(
        "name: w\nnodes:\n  a: {type: act, retry: {max: 2, delay: 0s}, data: '{{ execution.attempt }}'}\n"
        "  b: {type: act, data: '{{ nodes.a }}'}\noutputs: '{{ nodes.b }}'"
    )

    assert decoded(row.error) is None
    number, key, data = decoded(row.outputs)
    assert (number, data) == (3, 3)
    assert len(key) == 32
    assert len({call.key for call in rig.calls}) == 2


# --- publications ---------------------------------------------------------------------------------------------------


async def test_publications_are_kept_with_the_result_and_with_nothing_else(rig):
    outcomes = {"good": Done(), "bad": Fail("no"), "again": Retry("later")}

    async def act(ctx, data):
        ctx.publish("log.x", ctx.path.encode())
        return outcomes[ctx.path]

    rig.acts |= dict.fromkeys(outcomes, act)
    row = await rig.run(
        "name: w\nnodes:\n  good: {type: act}\n  bad: {type: act, on_error: continue}\n"
        "  again: {type: act, on_error: continue, retry: {max: 2, delay: 0s}}"
    )

    [message] = await rig.engine.outbox.publications()
    assert (message.body, message.execution, message.path) == (b"good", row.id, "good")
    assert message.headers == {"Ganglion-Cause": row.id, "Ganglion-Hops": "1"}


async def test_publications_of_a_failed_attempt_do_not_go_with_its_default(rig):
    async def act(ctx, data):
        ctx.publish("log.x", b"half")
        return Fail("no")

    rig.acts["a"] = act
    await rig.run("name: w\nnodes:\n  a: {type: act, default: 1}")

    assert await rig.engine.outbox.publications() == []


async def test_publication_that_can_not_be_stored_is_a_bug_of_the_node(rig, decoded):
    async def act(ctx, data):
        ctx.publish("log.\ud800", b"")
        return Done()

    _row, error = await outcome_of(rig, act, "", decoded)

    assert error["kind"] == "bug"


async def test_attempt_can_not_publish_without_end(rig, decoded):
    async def act(ctx, data):
        for _ in range(1001):
            ctx.publish("log.x", b"")
        return Done()

    _row, error = await outcome_of(rig, act, "", decoded)

    assert error["kind"] == "bug"


# --- at most once ---------------------------------------------------------------------------------------------------

ONCE = "name: w\nnodes:\n  a: {type: once%s}\n"


async def test_intent_of_an_at_most_once_attempt_is_durable_before_its_code_runs(rig):
    seen = {}

    async def act(ctx, data):
        seen.update(await rig.states(ctx.execution))
        return Done()

    rig.acts["a"] = act
    row = await rig.run(ONCE % "")

    assert seen == {"a": "running"}
    assert row.status is ExecutionState.COMPLETED


async def test_at_most_once_attempt_that_is_cut_off_is_in_doubt_and_not_repeated(rig):
    rig.acts["a"] = forever
    await rig.deploy(ONCE % ", timeout: 10ms, retry: {max: 5, delay: 0s}")
    execution = await rig.start()
    await rig.kind(Kind.NODE_IN_DOUBT, execution)
    await rig.settled()

    assert await rig.states(execution) == {"a": "in_doubt"}
    assert (await rig.row(execution)).status is ExecutionState.WAITING
    assert rig.called("a") == 1


async def test_at_most_once_attempt_that_reports_a_fault_may_be_repeated(rig):
    outcomes = [Retry("refused"), Done()]

    async def act(ctx, data):
        return outcomes.pop(0)

    rig.acts["a"] = act
    row = await rig.run(ONCE % ", retry: {max: 1, delay: 0s}")

    assert row.status is ExecutionState.COMPLETED
