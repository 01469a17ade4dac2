"""`llm` in an execution: what it writes is told live, what it said is kept, what it costs is counted, and it ends when
it is asked to."""

import asyncio

import pytest

from engine.events import Kind

REPORT = "fridge-07 temperature 14.2 C, limit 8 C"
SCHEMA = (
    "{type: object, properties: {level: {enum: [normal, warning, critical]}, reason: {type: string, maxLength: 120}}}"
)
ASK = f'type: llm, model: triage-tiny, prompt: "{REPORT}"'
ENDLESS = (
    'type: llm, model: triage-tiny, prompt: "go on", temperature: 1.5, seed: 1, max_tokens: 900, '
    "schema: {type: array, items: {type: string, minLength: 60, maxLength: 80}, minItems: 100}"
)


def told(rig, node: str = "a") -> list[str]:
    return [e.data["text"] for e in rig.seen if e.kind is Kind.LLM_TOKEN and e.node == node]


async def test_what_is_written_is_told_live_and_ends_as_the_output(rig, decoded) -> None:
    row = await rig.run(
        f'name: w\nnodes:\n  a: {{{ASK.replace(REPORT, f"Explain: {REPORT}")}}}\noutputs: "{{{{ nodes.a.text }}}}"'
    )
    assert decoded(row.outputs) == "fridge-07: temperature 14.2 C is above the limit of 8 C (critical)."
    assert "".join(told(rig)) == decoded(row.outputs)


async def test_one_workflow_uses_what_another_was_told_and_pays_nothing(open_rig, decoded) -> None:
    async with open_rig() as rig:
        first = await rig.run(f"name: one\nnodes:\n  a: {{{ASK}}}\noutputs: '{{{{ nodes.a }}}}'")
    async with open_rig() as rig:
        again = await rig.run(
            f"name: two\nlimits: {{llm_tokens: 1}}\nnodes:\n  b: {{{ASK}}}\noutputs: '{{{{ nodes.b }}}}'"
        )
        assert again.status == "completed"
        assert decoded(again.outputs)["llm"]["remembered"]
        assert decoded(again.outputs)["text"] == decoded(first.outputs)["text"]
        assert decoded(first.statistics)["llm_tokens"] > 20
        assert decoded(again.statistics)["llm_tokens"] == 0
        assert told(rig, "b") == []


async def test_an_answer_is_remembered_for_an_hour(open_rig, clock, decoded) -> None:
    async def ask() -> bool:
        row = await rig.run(f"name: w\nnodes:\n  a: {{{ASK}}}\noutputs: '{{{{ nodes.a.llm.remembered }}}}'")
        return decoded(row.outputs)

    async with open_rig(clock=clock) as rig:
        assert not await ask()
        clock.advance(3599)
        assert await ask()
        clock.advance(2)
        assert not await ask()


async def test_of_all_workflows_together_the_last_thousand_are_remembered(open_rig, decoded) -> None:
    async with open_rig() as rig:
        await rig.run(f"name: w\nnodes:\n  a: {{{ASK}}}")

        def crowd(tx) -> None:
            tx.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1005) "
                "INSERT INTO cache (workflow, key, expires_at, used_at, port, crc, output) "
                "SELECT '*llm', CAST(i AS BLOB), 1 << 60, 1, NULL, 0, X'00' FROM n"
            )

        await rig.store.submit(crowd)
        await rig.run(f"name: w\nnodes:\n  a: {{{ASK.replace('14.2', '9.5')}}}")
        count = await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM cache").fetchone()[0])
        assert count == 1000
        again = await rig.run(f"name: w\nnodes:\n  a: {{{ASK}}}\noutputs: '{{{{ nodes.a.llm.remembered }}}}'")
        assert decoded(again.outputs)


# --- tokens


async def test_two_that_race_for_a_budget_have_their_turns(rig, decoded) -> None:
    """Both promises do not fit at once; what is used does."""
    row = await rig.run(
        f"name: w\nlimits: {{llm_tokens: 200}}\nnodes:\n  a: {{{ASK}, max_tokens: 80}}\n"
        f"  b: {{{ASK.replace('fridge-07', 'fridge-08')}, max_tokens: 80}}"
    )
    assert row.status == "completed"
    assert 60 < decoded(row.statistics)["llm_tokens"] < 120


async def test_a_budget_that_is_smaller_than_max_tokens_says_what_to_set(rig, decoded) -> None:
    row = await rig.run(f"name: w\nlimits: {{llm_tokens: 100}}\nnodes:\n  a: {{{ASK}}}")
    error = decoded(row.error)
    assert error["kind"] == "limit"
    assert "0 llm tokens are used of 100" in error["message"]
    assert "raise limits.llm_tokens of the workflow w, or lower max_tokens" in error["message"]
    assert decoded(row.statistics)["llm_tokens"] == 0


async def test_a_question_that_was_never_asked_costs_nothing(rig, decoded) -> None:
    row = await rig.run(
        "name: w\nlimits: {llm_tokens: 700}\nnodes:\n  a: {type: llm, model: none, prompt: x, on_error: continue}\n"
        f"  b: {{{ASK}, needs: a}}"
    )
    assert row.status == "completed"
    assert decoded(row.statistics)["llm_tokens"] < 100


# --- the end before the end


async def test_cancel_ends_a_generation_at_once(rig, decoded) -> None:
    await rig.deploy(f"name: w\nnodes:\n  a: {{{ENDLESS}}}")
    id = await rig.start()
    await rig.kind(Kind.LLM_TOKEN, id)
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await rig.ask("cancel", execution=id)
    row = await rig.end(id)
    assert row.status == "cancelled"
    assert loop.time() - asked < 2  # the grace time is ten seconds
    assert await rig.states(id) == {"a": "cancelled"}


async def test_a_timeout_ends_a_generation(rig, decoded) -> None:
    row = await rig.run(f"name: w\nnodes:\n  a: {{{ENDLESS}, timeout: 100ms}}")
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "timeout"
    again = await rig.run(f"name: v\nnodes:\n  a: {{{ASK}}}")
    assert again.status == "completed"


async def test_the_model_is_free_for_others_after_a_cancel(rig) -> None:
    await rig.deploy(f"name: w\nnodes:\n  a: {{{ENDLESS}}}")
    id = await rig.start()
    await rig.kind(Kind.LLM_TOKEN, id)
    await rig.ask("cancel", execution=id)
    assert (await rig.run(f"name: v\nnodes:\n  a: {{{ASK}, timeout: 5s}}")).status == "completed"


@pytest.mark.parametrize("policy", ["{max: 0}", "{max: 1, delay: 0s}"])
async def test_an_answer_that_does_not_fit_is_tried_again_as_the_node_says(rig, decoded, policy) -> None:
    row = await rig.run(f"name: w\nnodes:\n  a: {{{ASK}, schema: {SCHEMA}, max_tokens: 8, retry: {policy}}}")
    assert decoded(row.error)["kind"] == "invalid_output"
    assert (await rig.nodes(row.id))["a"].attempt == (2 if "1" in policy else 1)


async def test_an_answer_that_does_not_fit_costs_what_was_read_and_written(rig, decoded) -> None:
    properties = ", ".join(f"p{i}: {{type: string}}" for i in range(200))
    schema = f"{{type: object, properties: {{{properties}}}, required: [p0]}}"
    row = await rig.run(f"name: w\nnodes:\n  a: {{{ASK}, schema: {schema}, max_tokens: 8}}")
    assert decoded(row.error)["kind"] == "invalid_output"
    assert 8 < decoded(row.statistics)["llm_tokens"] < 60


async def test_a_chain_of_which_one_may_do_it_later_is_tried_again(rig, decoded) -> None:
    row = await rig.run(
        f"name: w\nnodes:\n  a: {{{ASK.replace('triage-tiny', '[triage-tiny, none]')}, schema: {SCHEMA}, "
        "max_tokens: 8, retry: {max: 1, delay: 0s}}"
    )
    assert decoded(row.error)["kind"] == "invalid_output"
    assert "none (unknown_model)" in decoded(row.error)["message"]
    assert (await rig.nodes(row.id))["a"].attempt == 2


async def test_cancel_ends_also_who_waits_for_a_turn(rig) -> None:
    await rig.deploy(f"name: long\nnodes:\n  a: {{{ENDLESS}, retry: {{max: 50, delay: 0s}}}}")
    await rig.deploy(f"name: w\nnodes:\n  b: {{{ASK}}}")
    long = await rig.start("long")
    await rig.kind(Kind.LLM_TOKEN, long)
    waiting = await rig.start("w")
    await rig.kind(Kind.NODE_STARTED, waiting)
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await rig.ask("cancel", execution=waiting)
    await rig.end(waiting)
    assert loop.time() - asked < 2
    assert (await rig.row(long)).status == "running"
    await rig.ask("cancel", execution=long)
    await rig.end(long)
