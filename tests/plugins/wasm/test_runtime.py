"""What bounds a module that somebody else has written."""

from collections.abc import Callable

import pytest
import wasmtime

from plugins.wasm.runtime import Code, Limits, engine, store

LIMITS = Limits(memory_bytes=2 * 65_536, fuel=100_000)
SPIN = '(module (func (export "run") (loop $again (br $again))))'


@pytest.fixture(scope="module", params=Code)
def compiler(request: pytest.FixtureRequest) -> wasmtime.Engine:
    return engine(request.param)


@pytest.fixture
def run(compiler: wasmtime.Engine) -> Callable[..., object]:
    """`run(module, *arguments, limits)` calls its function `run`."""

    def called(text: str, *arguments: object, limits: Limits = LIMITS) -> object:
        owner = store(compiler, limits)
        function = wasmtime.Instance(owner, wasmtime.Module(compiler, text), []).exports(owner)["run"]
        assert isinstance(function, wasmtime.Func)
        return function(owner, *arguments)

    return called


def test_a_function_gives_its_result(run) -> None:
    text = '(module (func (export "run") (param i32 i32) (result i32) (i32.mul (local.get 0) (local.get 1))))'
    assert run(text, 6, 7) == 42


def test_an_endless_loop_ends_when_the_fuel_is_gone(run) -> None:
    with pytest.raises(wasmtime.Trap) as caught:
        run(SPIN)
    assert caught.value.trap_code is wasmtime.TrapCode.OUT_OF_FUEL


def test_an_endless_loop_in_the_start_function_ends_too(run) -> None:
    with pytest.raises(wasmtime.Trap) as caught:
        run('(module (func $main (loop $again (br $again))) (start $main) (func (export "run")))')
    assert caught.value.trap_code is wasmtime.TrapCode.OUT_OF_FUEL


def test_the_epoch_stops_what_still_has_fuel(compiler: wasmtime.Engine) -> None:
    owner = store(compiler, Limits(memory_bytes=0, fuel=2**62))
    function = wasmtime.Instance(owner, wasmtime.Module(compiler, SPIN), []).exports(owner)["run"]
    assert isinstance(function, wasmtime.Func)
    compiler.increment_epoch()
    with pytest.raises(wasmtime.Trap) as caught:
        function(owner)
    assert caught.value.trap_code is wasmtime.TrapCode.INTERRUPT


def test_memory_grows_up_to_the_limit_and_no_page_further(run) -> None:
    text = '(module (memory 1) (func (export "run") (param i32) (result i32) (memory.grow (local.get 0))))'
    assert run(text, 1) == 1
    assert run(text, 2) == -1


def test_a_module_that_begins_with_more_than_the_limit_is_not_begun(run) -> None:
    with pytest.raises(wasmtime.WasmtimeError, match="exceeds memory limits"):
        run('(module (memory 3) (func (export "run")))')
    with pytest.raises(wasmtime.WasmtimeError, match="table"):
        run('(module (table 10001 funcref) (func (export "run")))')


def test_recursion_without_an_end_is_a_trap_and_no_crash(run) -> None:
    with pytest.raises(wasmtime.Trap) as caught:
        run('(module (func $f (export "run") (call $f)))', limits=Limits(memory_bytes=0, fuel=2**62))
    assert caught.value.trap_code is wasmtime.TrapCode.STACK_OVERFLOW


@pytest.mark.parametrize(
    "text",
    [
        "(module (memory i64 1))",
        "(module (memory 1 1 shared))",
        "(module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
    ],
)
def test_what_has_no_bounds_or_no_single_result_is_not_compiled(compiler: wasmtime.Engine, text: str) -> None:
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module(compiler, text)
