"""`doctor`, `status`: is this machine fit, and how is the agent?"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from agent.cli.addressed import to_agent, to_fleet
from agent.cli.failure import Exit, Failure
from agent.cli.fleetwide import show_answer
from agent.cli.options import AsJson
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, state, table, write_json
from agent.config import InvalidConfig, load_config
from agent.lock import holder
from agent.ready import read_ready
from agent.service.standing import watched
from agent.status import AgentStatus, FleetStatus
from engine.control.messages import Nothing, QueueInfo
from engine.resources.governor import Regime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.finding import Finding


@to_agent
def doctor(*, where: Where, as_json: AsJson = False) -> None:
    """Check this machine, the configuration and the agent; every finding with what to do."""
    from agent.doctor import examine
    from agent.finding import Finding, Verdict

    findings: list[Finding]
    try:
        flags = {"--data-dir": ("data_dir", str(where.data_dir) if where.data_dir else None)}
        settings, file = load_config(where.config, flags=flags)
    except InvalidConfig as invalid:
        findings = [
            Finding("configuration", Verdict.FAIL, problem, "mend it, then look again") for problem in invalid.problems
        ]
    else:
        findings = [*examine(settings, file), *_agent(where, settings.data_path)]
    if as_json:
        write_json({"ok": all(finding.verdict is not Verdict.FAIL for finding in findings), "findings": findings})
    else:
        table(
            ("", "CHECK", "FOUND", "WHAT TO DO"),
            ((state(finding.verdict.value), finding.check, finding.message, finding.remedy) for finding in findings),
            last_wraps=True,
        )
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        raise typer.Exit(Exit.FAILED)


@to_fleet
def status(*, where: Where, as_json: AsJson = False) -> None:
    """How a running agent is: what it runs, what waits, what it counted."""
    show_answer(where, "status", Nothing(), AgentStatus, _show, _in_a_line, as_json=as_json)


def _show(answer: AgentStatus) -> None:
    engine = answer.engine
    rows = [
        ("agent", f"{answer.agent} ({answer.tenant}), ganglion {answer.version}, process {answer.pid}"),
        ("state", engine.state),
        ("nats", ", ".join(filter(None, (answer.nats, answer.mqtt and f"mqtt {answer.mqtt}"))) or "off"),
        *((("credentials", f"expire {local_time(answer.credentials_expire)}"),) if answer.credentials_expire else ()),
        ("memory", f"{answer.memory_bytes / 2**20:.0f} MiB"),
        ("workflows", str(engine.workflows)),
        ("executions", ", ".join(f"{count} {name}" for name, count in engine.executions.items()) or "none open"),
        *((f"queue of {queue.workflow}", _queue(queue)) for queue in engine.queues),
        ("free slots", str(engine.free_slots)),
        *((("scheduling", _regime(engine.scheduling)),) if engine.scheduling is not None else ()),
        ("facts", f"{engine.last_seq}, {answer.outbox_depth} not sent yet"),
        ("dead letters", str(engine.dead_letters)),
        *((("fleet", _fleet(answer.fleet)),) if answer.fleet is not None else ()),
        *((("service", watched(answer.supervision)),) if answer.supervision is not None else ()),
        *((name, str(count)) for name, count in sorted(engine.counters.items())),
    ]
    table(("", ""), rows)


def _in_a_line(answer: AgentStatus) -> str:
    engine = answer.engine
    parts = (
        engine.state,
        ", ".join(f"{count} {name}" for name, count in engine.executions.items()) or "none open",
        f"{engine.free_slots} free slots",
        f"{engine.workflows} workflows",
        f"{answer.outbox_depth} facts not sent",
        f"{answer.memory_bytes / 2**20:.0f} MiB",
        f"ganglion {answer.version}",
    )
    return "; ".join(parts)


def _fleet(fleet: FleetStatus) -> str:
    told = f"{fleet.recorded} facts of {fleet.agents} agent{'' if fleet.agents == 1 else 's'} recorded"
    parts = ((fleet.unread, "not read yet"), (fleet.missing, "missing"), (fleet.lost, "not to be had any more"))
    return "; ".join([told, *(f"{count} {what}" for count, what in parts if count)])


def _queue(queue: QueueInfo) -> str:
    parts = (
        (queue.ready, f"ready, waiting for {queue.waits_for}"),
        (queue.behind, "behind others of their key"),
        (queue.quiet, "in their quiet time"),
    )
    told = ", ".join(f"{count} {what}" for count, what in parts if count)
    return f"{told}; {queue.running} running{'; full: messages stay outside' if queue.full else ''}"


def _regime(regime: Regime) -> str:
    """How many executions may run, and the load that bounds them."""
    text = f"{regime.policy}, {regime.limit} of {regime.most} at once"
    if regime.problem:
        return f"{text}; the load can't be read: {regime.problem}"
    if regime.cpu is not None and regime.memory is not None:
        text += f", cpu {regime.cpu:.0f} %, memory {regime.memory:.0f} %, adjusted {regime.adjustments} times"
    return text


def _agent(where: Where, data_dir: Path) -> "Iterator[Finding]":
    from agent.finding import Finding, Verdict
    from agent.place_health import is_closed
    from agent.service.standing import examine_service, places

    try:
        answer = ask(where, "status", Nothing(), AgentStatus)
    except Failure as failure:
        pid = holder(data_dir)
        if is_closed(data_dir):
            yield Finding("agent", Verdict.WARN, f"whether one runs on {data_dir} can't be told", "look as its owner")
        elif pid is None:
            yield Finding("agent", Verdict.WARN, "none is running here", "start one: ganglion up")
        else:
            yield Finding("agent", Verdict.FAIL, f"process {pid} runs, but does not answer: {failure}", "see its log")
        yield examine_service(pid, None)
        yield places(data_dir, pid=pid)
        return
    ready = read_ready(data_dir)
    if ready is not None and ready.trial and ready.pid == answer.pid:
        remedy = "the update that looks at it lets it go; see whether it was stopped"
        yield Finding("agent", Verdict.WARN, f"{answer.agent} is on trial after an update and begins nothing", remedy)
    else:
        yield Finding("agent", Verdict.OK, f"{answer.agent} answers, {answer.engine.state}, process {answer.pid}")
    if not where.agent and not where.url:
        yield examine_service(answer.pid, answer.supervision)
        yield places(data_dir, pid=answer.pid)
