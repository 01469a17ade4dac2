import sqlite3

WORKFLOW = """\
name: w
nodes:
  a: {type: act, data: "{{ trigger.data.x + 1 }}"}
  b: {type: act, data: "{{ nodes.a + 1 }}"}
  c: {type: act, data: "{{ nodes.b + 1 }}"}
outputs: "{{ nodes.c }}"
"""
WAL_BYTES = 30_000
"""Four commits of five to eleven pages: with pages of 4096 bytes it is 80,000."""


def begin_wal_anew(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def test_what_an_execution_writes_is_bounded(rig):
    await rig.run(WORKFLOW, {"x": 1})
    await rig.store.maintain(begin_wal_anew)
    wal = rig.store.path.with_name(rig.store.path.name + "-wal")
    assert wal.stat().st_size == 0

    await rig.end(await rig.start(data={"x": 1}))
    await rig.settled()

    assert 0 < wal.stat().st_size <= WAL_BYTES
