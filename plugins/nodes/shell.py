"""`shell`: a program on the agent's machine."""

import errno
import os
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Retry, Secret
from engine.secrets import UnknownSecret
from plugins.masking import Mask
from plugins.process import Finished, run_process
from plugins.scalar import Scalar, scalar_text, scalar_texts
from plugins.time_left import time_left

OFF = (
    "programs are off on this agent; if everybody who may deploy workflows may also run programs here, "
    "set `[engine] allow_shell = true` in its configuration"
)
"""Reason and remedy for the Registry, where the configuration does not allow this type."""

MAX_BYTES = 1024 * 1024
DEFAULT_SECONDS = 600.0
QUOTED = 200
INHERITED = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER")
"""What a program sees of the agent's environment, which may hold secrets."""

_PASSING = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ETXTBSY)


class ShellParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    argv: Annotated[
        list[Scalar],
        msgspec.Meta(
            description="Program and arguments; no shell reads them. Put `--` before data, so that none is an option.",
            min_length=1,
        ),
    ]
    cwd: Annotated[str | None, msgspec.Meta(description="Directory to run in; the agent's own if not given.")] = None
    env: Annotated[
        dict[str, Scalar],
        Secret,
        msgspec.Meta(description=f"Environment, beside {', '.join(INHERITED)} of the agent. The place for secrets."),
    ] = {}
    stdin: Annotated[str | None, Secret, msgspec.Meta(description="What the program reads, in UTF-8.")] = None
    ok_exit: Annotated[tuple[int, ...], msgspec.Meta(description="Exit codes that are success.")] = (0,)
    retry_exit: Annotated[
        tuple[int, ...], msgspec.Meta(description="Exit codes that are tried again, such as 75 (a passing fault).")
    ] = ()
    max_bytes: Annotated[
        int, msgspec.Meta(description="Longest output, for stdout and stderr each; a longer one fails.", ge=0, le=2**26)
    ] = MAX_BYTES


async def run(ctx: Context, params: ShellParams) -> Outcome:
    argv = [scalar_text(argument) for argument in params.argv]
    program = argv[0]
    mask = Mask(ctx)
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    try:
        finished = await run_process(
            argv,
            cwd=params.cwd,
            env=inherited | scalar_texts(mask.reveal(params.env)),
            stdin=None if params.stdin is None else mask.reveal(params.stdin).encode(),
            timeout=time_left(ctx, DEFAULT_SECONDS),
            max_bytes=params.max_bytes,
        )
    except UnknownSecret as error:
        return Fail(str(error), kind="secret")
    except ValueError:
        return Fail(f"{program}: an argument or the environment holds a character that none may hold", kind="invalid")
    except TimeoutError:
        return Retry(f"{program}: did not end in time and was stopped; give the node a longer timeout", kind="timeout")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        message = f"cannot run {program}: {error.strerror}{where}"
        if error.errno in _PASSING:
            return Retry(message)
        return Fail(message, kind="not_runnable")
    return _outcome(params, finished, mask)


def _outcome(params: ShellParams, finished: Finished, mask: Mask) -> Outcome:
    program, code = scalar_text(params.argv[0]), finished.exit_code
    if finished.overflow:
        return Fail(f"{program}: wrote more than max_bytes: {params.max_bytes}", kind="too_large")
    stdout, stderr = (mask.hide(output.decode(errors="replace")) for output in (finished.stdout, finished.stderr))
    if code in params.ok_exit:
        return Done({"exit_code": code, "stdout": stdout, "stderr": stderr})
    told = " ".join((stderr or stdout).split())[-QUOTED:]
    end = f"ended with exit code {code}" if code >= 0 else f"was killed by signal {-code}"
    message = f"{program}: {end}{': ' if told else ''}{told}"
    if code in params.retry_exit:
        return Retry(message, kind=f"exit_{code}")
    return Fail(message, kind=f"exit_{code}" if code >= 0 else f"signal_{-code}")


SHELL = NodeType(
    name="shell",
    description=(
        "Runs a program and waits for its end; off unless the agent's configuration says `[engine] allow_shell = "
        "true`. The output is {exit_code, stdout, stderr}, both as text. An exit code that is neither in `ok_exit` nor "
        "in `retry_exit` fails, with `errors.<id>.kind` such as exit_2 or signal_9. At the node's timeout (10 minutes "
        "without one) and on cancel, the program and what it started get SIGTERM and, two seconds later, SIGKILL; "
        "what is left when the program ends by itself is killed too."
    ),
    params=ShellParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: sorted
nodes:
  sorted:
    type: shell
    argv: [sort, --reverse, --, "-"]
    stdin: "fridge\\nfreezer\\n"
    timeout: 10s
outputs: {lines: "{{ nodes.sorted.stdout }}"}
""",
)
