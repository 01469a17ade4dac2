"""The examples of limits and of degradation do what they say."""

from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"


async def test_within_limits_ends_at_its_limit_and_tidies_up(rig, decoded):
    text = (EXAMPLES / "within-limits.yaml").read_text()
    few = await rig.run(text, ["pump", "valve"])
    assert (few.status, decoded(few.outputs)) == ("completed", ["pump is fine", "valve is fine"])

    many = await rig.run(text, list(range(10)))
    assert many.status == "failed"
    assert decoded(many.error)["kind"] == "limit"
    assert (await rig.states(many.id))["judge/finally/tidy"] == "completed"


async def test_what_still_works_reports_what_there_is(rig, decoded):
    text = (EXAMPLES / "what-still-works.yaml").read_text()
    whole = await rig.run(text)
    assert whole.status == "completed"
    assert decoded(whole.outputs) == {"ships": 3, "tides": "low", "advice": "no coat"}

    part = await rig.run(text, broken=["weather"])
    assert part.status == "partial"
    assert decoded(part.outputs) == {"ships": 3, "tides": "low", "advice": "look out of the window"}
    assert (await rig.states(part.id))["advice"] == "skipped"

    little = await rig.run(text, broken=["weather", "tides"])
    assert little.status == "failed"
    assert decoded(little.error)["kind"] == "failures"
