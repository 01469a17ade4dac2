"""Can WebAssembly run here? The one answer that holds is that a module was compiled, ran, and was stopped.

A system may forbid processes to make machine code (systemd's MemoryDenyWriteExecute, SELinux' execmem). wasmtime then
says so without harm, and its interpreter is tried.
"""

import msgspec

from plugins.wasm.runtime import Code, Limits, engine, installed_version, store

MODULE = """\
(module (memory 1)
  (func (export "answer") (result i32) (i32.add (i32.const 40) (i32.const 2)))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "spin") (loop $again (br $again))))
"""
PAGE_BYTES = 65_536
LIMITS = Limits(memory_bytes=PAGE_BYTES, fuel=10_000)
REFUSED = -1
"""What memory.grow gives to a module whose memory is at its limit."""


class Trial(msgspec.Struct, frozen=True):
    """What was found out."""

    version: str = ""
    """Empty: wasmtime is not installed."""
    code: Code | None = None
    """How modules run; None: they don't."""
    problem: str = ""
    """Why not, or why not as machine code."""


def try_wasm() -> Trial:
    """Load wasmtime, and run a small module under limits. It takes 0.1 s, and 20 MB while the process lives."""
    version = installed_version()
    if version is None:
        return Trial()
    try:
        from wasmtime import WasmtimeError
    except (ImportError, OSError, RuntimeError) as error:  # the last: no 64-bit machine, an unknown processor
        return Trial(version, None, f"it can't be loaded: {error}")
    problem = ""
    for code in Code:
        try:
            fault = _fault(code)
        except WasmtimeError as error:
            fault = " ".join(str(error).split())
        if not fault:
            return Trial(version, code, problem)
        problem = problem or fault
    return Trial(version, None, problem)


def _fault(code: Code) -> str:
    """What does not hold; empty if everything does. Raises WasmtimeError where nothing can be run at all."""
    from wasmtime import Func, Instance, Module, Trap, TrapCode

    made = engine(code)
    module = Module(made, MODULE)

    def run(name: str, *, is_late: bool = False) -> object:
        owner = store(made, LIMITS)
        function = Instance(owner, module, []).exports(owner)[name]
        if is_late:
            made.increment_epoch()
        try:
            return function(owner) if isinstance(function, Func) else None
        except Trap as trap:
            return trap.trap_code

    expected = {
        "a module gave a wrong answer": run("answer") == 42,
        "the limit of memory does not hold": run("grow") == REFUSED,
        "fuel does not stop a module": run("spin") is TrapCode.OUT_OF_FUEL,
        "an epoch does not stop a module": run("spin", is_late=True) is TrapCode.INTERRUPT,
    }
    return ", ".join(problem for problem, holds in expected.items() if not holds)
