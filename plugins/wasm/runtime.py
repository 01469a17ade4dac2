"""wasmtime with its limits set, so that whoever runs WebAssembly here can't forget one.

The library is imported at the first use and not before: it takes 8 MB of memory, an engine and a small module 13 MB
more. Its objects are not thread-safe: one thread owns a store and what came from it. It takes SIGSEGV and SIGILL, by
which traps come, and passes on what is not its own: faulthandler, enabled before, still tells crashes.
"""

from enum import StrEnum
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from wasmtime import Engine, Store

LIBRARY = "wasmtime"
INTERPRETER = "pulley64"
"""wasmtime's name of its own byte code."""


class Code(StrEnum):
    """What a module is compiled to."""

    NATIVE = "native"
    INTERPRETED = "interpreted"
    """For a system that lets no process make machine code: some 18 times slower in a loop over memory."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one store may use."""

    memory_bytes: int
    fuel: int
    """About one for each instruction."""
    ticks: int = 1
    """How often the engine's epoch may be incremented until it is interrupted."""
    table_elements: int = 10_000
    memories: int = 1
    tables: int = 4
    instances: int = 1


def installed_version() -> str | None:
    """The version of wasmtime; None where it is not installed. Loads nothing."""
    try:
        return version_of(LIBRARY)
    except PackageNotFoundError:
        return None


def engine(code: Code = Code.NATIVE) -> "Engine":
    """Compiles modules that can be stopped by fuel and by its epoch.

    Raises ImportError, OSError or RuntimeError where the library can't be loaded. Fuel and epochs do not bound the
    compilation itself: its caller bounds the size of a module.
    """
    from wasmtime import Config, Engine

    config = Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.wasm_memory64 = False
    config.wasm_threads = False
    # The same input gives the same bytes on each processor.
    config.wasm_relaxed_simd = False
    config.cranelift_nan_canonicalization = True
    if code is Code.INTERPRETED:
        config.target = INTERPRETER
    return Engine(config)


def store(engine: "Engine", limits: Limits) -> "Store":
    """For one run, with its limits. They hold from the instantiation on: a module's start function runs there."""
    from wasmtime import Store

    made = Store(engine)
    made.set_limits(
        memory_size=limits.memory_bytes, table_elements=limits.table_elements, instances=limits.instances,
        tables=limits.tables, memories=limits.memories,
    )  # fmt: skip
    made.set_fuel(limits.fuel)
    made.set_epoch_deadline(limits.ticks)
    return made
