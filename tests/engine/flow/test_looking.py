"""What people are told of queues: how many wait, and for what."""

TEXT = """
name: w
flow: {concurrency: 2, key: trigger.data.k|default(null), rate: {max: 3, per: 1m}, queue: {max: 4}}
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""


async def told(rig) -> dict[str, str]:
    """Why executions wait, by when they came."""
    answer = await rig.ask("list", status=["queued"])
    return [info["waits_for"] for info in reversed(answer["executions"])]


async def test_people_see_how_many_wait_and_for_what(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        await rig.deploy(TEXT)
        assert (await rig.ask("engine"))["queues"] == []
        for n, key in enumerate(["x", "x", "y", None, None, None]):
            await rig.start(data={"n": n, "k": key})
        await gate.until(2)
        await idle(rig)
        [queue] = (await rig.ask("engine"))["queues"]
        assert queue == {
            "workflow": "w", "quiet": 0, "behind": 1, "ready": 3, "running": 2, "full": True,
            "waits_for": "the concurrency of 2",
        }  # fmt: skip
        concurrency = ["the concurrency of 2"] * 3
        assert (await told(rig))[-4:] == ["others of the key x", *concurrency]

        gate.let_go(0, 2, 1, 3)
        await gate.until(3)
        await idle(rig)
        [queue] = (await rig.ask("engine"))["queues"]
        assert (queue["ready"], queue["waits_for"], queue["full"]) == (3, "the rate, 60 s more", False)


async def test_a_quiet_time_is_told_with_its_end(open_rig, clock):
    text = "name: w\nflow: {debounce: 1h}\nnodes:\n  a: {type: act}\n"
    async with open_rig(clock=clock) as rig:
        await rig.deploy(text)
        await rig.start()
        [info] = (await rig.ask("list"))["executions"]
        assert (info["waits_for"], info["due"]) == ("its quiet time", "2026-11-18T12:06:40.000000Z")
