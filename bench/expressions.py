"""What it costs to evaluate an expression: ours beside MiniJinja and two CELs, the same cases on the same values.

Every contestant compiles before the clock starts, as far as it can (MiniJinja's Python binding compiles templates but
not expressions), and gets plain Python values, as a node gets them: converting them is part of the price.
"""

import argparse
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from measure.figures import Goal, Row, median, show

from engine.expressions import Scope, compile_expression, compile_text

VALUES: dict[str, Any] = {
    "nodes": {"a": {"x": 4.5, "level": "warning"}},
    "trigger": {"data": {"kind": "x", "device": "f1", "celsius": 9.5, "rows": []}},
    "params": {"limit": 8.0},
}
VALUES["trigger"]["data"]["rows"] = [{"n": n, "ok": n % 2 == 0} for n in range(100)]

CONDITION = 'nodes.a.x > 3 and trigger.data.kind == "x"'
ARITHMETIC = "(trigger.data.celsius - params.limit) * 2 + 1"
TEXT = "{{ trigger.data.device }} has {{ trigger.data.celsius }} C, limit {{ params.limit }} C"
ROWS = "trigger.data.rows|selectattr('ok')|map(attribute='n')|sum"
LOOP = "{% for row in trigger.data.rows %}{% if row.ok %}{{ row.n }}, {% endif %}{% endfor %}"

Work = Callable[[], object]
"""One evaluation, ready to be called."""


def ganglion() -> dict[str, Work]:
    scope = Scope(VALUES, now=0, seed="bench")
    sources = {"condition": CONDITION, "arithmetic": ARITHMETIC, "100 rows: select, map, sum": ROWS}
    programs = {case: compile_expression(source) for case, source in sources.items()}
    programs |= {"text": compile_text(TEXT), "100 rows: loop": compile_text(LOOP)}
    return {case: lambda program=program: program.evaluate(scope) for case, program in programs.items()}


def minijinja() -> dict[str, Work] | None:
    module = _module("minijinja")
    if module is None:
        return None
    environment = module.Environment()
    environment.add_template("text", TEXT)
    environment.add_template("loop", LOOP)
    works: dict[str, Work] = {
        case: lambda source=source: environment.eval_expr(source, **VALUES)
        for case, source in (("condition", CONDITION), ("arithmetic", ARITHMETIC), ("100 rows: select, map, sum", ROWS))
    }
    works["text"] = lambda: environment.render_template("text", **VALUES)
    works["100 rows: loop"] = lambda: environment.render_template("loop", **VALUES)
    return works


CEL_CONDITION = 'nodes.a.x > 3.0 && trigger.data.kind == "x"'
CEL_ARITHMETIC = "(trigger.data.celsius - params.limit) * 2.0 + 1.0"


def common_expression_language() -> dict[str, Work] | None:
    module = _module("cel")
    if module is None:
        return None
    programs = {"condition": module.compile(CEL_CONDITION), "arithmetic": module.compile(CEL_ARITHMETIC)}
    return {case: lambda program=program: program.execute(VALUES) for case, program in programs.items()}


def cel_python() -> dict[str, Work] | None:
    module = _module("celpy")
    if module is None:
        return None
    environment = module.Environment()
    programs = {
        case: environment.program(environment.compile(source))
        for case, source in (("condition", CEL_CONDITION), ("arithmetic", CEL_ARITHMETIC))
    }
    return {
        case: lambda program=program: program.evaluate(module.json_to_cel(VALUES)) for case, program in programs.items()
    }


CONTESTANTS = {
    "ganglion": ganglion,
    "minijinja": minijinja,
    "common-expression-language": common_expression_language,
    "cel-python": cel_python,
}
CASES = ("condition", "arithmetic", "text", "100 rows: select, map, sum", "100 rows: loop")
GOALS = {("ganglion", "condition"): Goal(2.0, "less")}


def _module(name: str) -> ModuleType | None:
    try:
        return __import__(name)
    except ImportError:
        return None


def microseconds(work: Work, seconds: float) -> float:
    """The time of one evaluation, over about so many seconds."""
    work()
    started = time.perf_counter()
    work()
    once = max(time.perf_counter() - started, 1e-7)
    times = max(5, int(seconds / once))
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times * 1e6


def measured(rounds: int, seconds: float) -> list[Row]:
    """Every contestant in turn, round after round; the median of each."""
    works = {who: prepare() for who, prepare in CONTESTANTS.items()}
    values: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for case in CASES:
            for who, ready in works.items():
                if ready is not None and case in ready:
                    values.setdefault((who, case), []).append(microseconds(ready[case], seconds))
    return [
        median("expressions", who, case, values.get((who, case), []), "us", goal=GOALS.get((who, case)))
        for case in CASES
        for who, ready in works.items()
        if ready is None or case in ready
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line of JSON per figure")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant runs (default 5)")
    parser.add_argument("--seconds", type=float, default=0.1, help="how long each run takes (default 0.1)")
    options = parser.parse_args()
    rows = measured(options.rounds, options.seconds)
    show(f"expressions: one evaluation, median of {options.rounds} rounds in turn", rows, as_json=options.json)


if __name__ == "__main__":
    main()
