"""DBOS on its SQLite system database, with the settings that it ships."""

import asyncio
from pathlib import Path

from dbos import DBOS

from contestants import STEPS, steps_per_second


@DBOS.step()
async def _step(x: int) -> int:
    return x + 1


@DBOS.workflow()
async def _workflow(x: int) -> int:
    for _ in range(STEPS):
        x = await _step(x)
    return x


def chain(executions: int, at_once: int, directory: Path) -> float:
    url = f"sqlite:///{directory}/store.db"
    DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR", "run_admin_server": False})
    DBOS.launch()
    try:
        return asyncio.run(steps_per_second(_workflow, executions, at_once))
    finally:
        DBOS.destroy()
