"""Can WebAssembly run on this machine? It is tried."""

from agent.finding import Finding, Verdict
from plugins.wasm.runtime import Code
from plugins.wasm.trial import Trial, try_wasm

WHAT = "wasmtime"


def examine_wasm() -> Finding:
    """One line."""
    return told(try_wasm())


def told(trial: Trial) -> Finding:
    """The outcome with what to do. A machine without WebAssembly is fit for everything else."""
    match trial:
        case Trial(version=""):
            missing = "is not installed: there is no WebAssembly"
            return Finding(WHAT, Verdict.OK, missing, "pip install 'ganglion[wasm]'")
        case Trial(code=Code.NATIVE):
            return Finding(WHAT, Verdict.OK, f"{trial.version}: runs WebAssembly")
        case Trial(code=Code.INTERPRETED):
            return Finding(
                WHAT, Verdict.OK, f"{trial.version}: runs WebAssembly, slowly: it interprets it, since {trial.problem}",
                "let processes make machine code: MemoryDenyWriteExecute=no of a unit, execmem of SELinux",
            )  # fmt: skip
        case _:
            return Finding(
                WHAT, Verdict.WARN, f"{trial.version}: can't run WebAssembly: {trial.problem}",
                "it reserves 4 GiB of addresses for each memory (ulimit -v, LimitAS=), and needs a 64-bit processor",
            )  # fmt: skip
