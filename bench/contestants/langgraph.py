"""LangGraph with its SQLite saver: a checkpoint after each step, on the disk before the next (durability="sync")."""

import asyncio
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import aiosqlite
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from contestants import STEPS, nodes_per_second, steps_per_second


class _Chain(TypedDict):
    x: int


class _Fan(TypedDict):
    width: int
    results: Annotated[list[int], operator.add]


def chain(executions: int, at_once: int, directory: Path) -> float:
    return asyncio.run(_chain(executions, at_once, directory))


def fan(executions: int, width: int, directory: Path) -> float:
    return asyncio.run(_fan(executions, width, directory))


def _config() -> dict[str, Any]:
    return {"configurable": {"thread_id": uuid4().hex}, "recursion_limit": 100}


async def _saver(directory: Path) -> AsyncSqliteSaver:
    connection = await aiosqlite.connect(directory / "store.db")
    await connection.execute("PRAGMA synchronous = FULL")
    saver = AsyncSqliteSaver(connection)
    await saver.setup()  # sets WAL
    return saver


async def _chain(executions: int, at_once: int, directory: Path) -> float:
    async def step(state: _Chain) -> _Chain:
        return {"x": state["x"] + 1}

    graph = StateGraph(_Chain)
    for index in range(STEPS):
        graph.add_node(f"s{index}", step)
        graph.add_edge(f"s{index - 1}" if index else START, f"s{index}")
    graph.add_edge(f"s{STEPS - 1}", END)
    saver = await _saver(directory)
    app = graph.compile(checkpointer=saver)

    async def execute(x: int) -> int:
        result = await app.ainvoke({"x": x}, _config(), durability="sync")
        return int(result["x"])

    rate = await steps_per_second(execute, executions, at_once)
    await saver.conn.close()
    return rate


async def _fan(executions: int, width: int, directory: Path) -> float:
    async def first(state: _Fan) -> dict[str, Any]:
        return {}

    async def each(index: int) -> dict[str, Any]:
        return {"results": [index]}

    async def last(state: _Fan) -> dict[str, Any]:
        assert len(state["results"]) == state["width"]
        return {}

    graph = StateGraph(_Fan)
    graph.add_node("first", first)
    graph.add_node("each", each)
    graph.add_node("last", last)
    graph.add_edge(START, "first")
    graph.add_conditional_edges("first", lambda state: [Send("each", i) for i in range(state["width"])], ["each"])
    graph.add_edge("each", "last")
    graph.add_edge("last", END)
    saver = await _saver(directory)
    app = graph.compile(checkpointer=saver)

    async def execute(width: int) -> int:
        result = await app.ainvoke({"width": width, "results": []}, _config(), durability="sync")
        return len(result["results"])

    rate = await nodes_per_second(execute, executions, width)
    await saver.conn.close()
    return rate
