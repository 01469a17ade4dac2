"""What `ganglion doctor` says of WebAssembly."""

import pytest

from agent.finding import Verdict
from agent.wasm_health import examine_wasm, told
from plugins.wasm.runtime import Code
from plugins.wasm.trial import Trial


def test_a_machine_where_it_runs_is_told_in_one_line() -> None:
    finding = examine_wasm()
    assert (finding.check, finding.verdict, finding.remedy) == ("wasmtime", Verdict.OK, "")
    assert finding.message.endswith(": runs WebAssembly")


@pytest.mark.parametrize(
    ("trial", "verdict", "message", "remedy"),
    [
        (Trial(), Verdict.OK, "is not installed", "pip install"),
        (Trial("50", Code.INTERPRETED, "no executable memory"), Verdict.OK, "slowly", "MemoryDenyWriteExecute=no"),
        (Trial("50", None, "no addresses"), Verdict.WARN, "can't run WebAssembly: no addresses", "LimitAS="),
    ],
)
def test_what_is_missing_is_told_with_what_to_do(trial: Trial, verdict: Verdict, message: str, remedy: str) -> None:
    finding = told(trial)
    assert finding.verdict is verdict
    assert message in finding.message
    assert remedy in finding.remedy
