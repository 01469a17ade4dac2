"""Deploy, undeploy, and what is deployed."""

from engine.clock import format_time
from engine.control.messages import DefinitionInfo, Definitions, Deploy, Deployed, Done, Nothing, Undeploy
from engine.control.verb import Refused, Verb
from engine.definition import InvalidWorkflow
from engine.definition.calls import unknown_calls
from engine.definition.model import CronTrigger, FileTrigger, FleetTrigger, NatsTrigger, Workflow, WorkflowTrigger
from engine.engine import Engine
from engine.store import StoreFull
from engine.triggers.circles import chain_warnings


def definition_verbs(engine: Engine) -> tuple[Verb, ...]:
    async def deploy(request: Deploy) -> Deployed:
        try:
            deployment, changed = await engine.deploy(
                request.source.encode(), filename=request.filename, params=request.params
            )
        except InvalidWorkflow as error:
            raise Refused(422, str(error)) from None
        except StoreFull as error:
            raise Refused(503, str(error)) from None
        workflow = deployment.workflow
        return Deployed(
            workflow=deployment.row.workflow,
            version=deployment.row.version,
            changed=changed,
            subjects=[] if workflow is None else [engine.intake.routes.address(workflow.name), *_subjects(workflow)],
            warnings=[]
            if workflow is None
            else [
                *workflow.warnings,
                *_chain_warnings(engine, workflow),
                *unknown_calls(workflow, engine.catalogue.active, "deployed"),
            ],
        )

    async def undeploy(request: Undeploy) -> Done:
        if not await engine.undeploy(request.workflow):
            raise Refused(404, f"{request.workflow} is not deployed; `ganglion workflows` lists what is")
        return Done(message=f"{request.workflow} is undeployed; its running executions go on")

    async def workflows(request: Nothing) -> Definitions:
        return Definitions(
            definitions=[
                DefinitionInfo(
                    workflow=name,
                    version=deployment.row.version,
                    description="" if deployment.workflow is None else deployment.workflow.description,
                    deployed_at=format_time(deployment.row.deployed_at),
                    subjects=[] if deployment.workflow is None else _subjects(deployment.workflow),
                    schedules=[] if deployment.workflow is None else _schedules(deployment.workflow),
                    watches=[] if deployment.workflow is None else _watches(deployment.workflow),
                    problem=deployment.problem,
                )
                for name, deployment in sorted(engine.catalogue.active.items())
            ]
        )

    return (
        Verb(name="deploy", description="Make a workflow file the active version.", request=Deploy, answer=Deployed,
             handle=deploy),
        Verb(name="undeploy", description="Switch a workflow's triggers off.", request=Undeploy, answer=Done,
             handle=undeploy),
        Verb(name="workflows", description="The deployed workflows.", request=Nothing, answer=Definitions,
             handle=workflows),
    )  # fmt: skip


def _subjects(workflow: Workflow) -> list[str]:
    return [trigger.subject for trigger in workflow.triggers if isinstance(trigger, NatsTrigger)]


def _schedules(workflow: Workflow) -> list[str]:
    return [
        f"{trigger.schedule} {trigger.timezone}" for trigger in workflow.triggers if isinstance(trigger, CronTrigger)
    ]


def _watches(workflow: Workflow) -> list[str]:
    """What starts it besides messages and schedules."""
    watches: list[str] = []
    for trigger in workflow.triggers:
        if isinstance(trigger, FileTrigger):
            watches.append(f"files {trigger.path}")
        elif isinstance(trigger, WorkflowTrigger):
            watches.append(f"{trigger.name} {'/'.join(happening.value for happening in trigger.happenings)}")
        elif isinstance(trigger, FleetTrigger):
            watches.append(f"fleet {trigger}")
    return watches


def _chain_warnings(engine: Engine, workflow: Workflow) -> tuple[str, ...]:
    active = {
        name: deployment.workflow
        for name, deployment in engine.catalogue.active.items()
        if deployment.workflow is not None
    }
    return chain_warnings(workflow.name, active | {workflow.name: workflow})
