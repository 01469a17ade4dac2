"""The verbs of an engine: one list, from which the service, the command line and the reference are made."""

from engine.control.deadletter_verbs import deadletter_verbs
from engine.control.definition_verbs import definition_verbs
from engine.control.execution_verbs import execution_verbs
from engine.control.form_verbs import form_verbs
from engine.control.observing_verbs import observing_verbs
from engine.control.showing_verbs import showing_verbs
from engine.control.state_verbs import state_verbs
from engine.control.usage_verbs import usage_verbs
from engine.control.verb import Verb
from engine.engine import Engine


def engine_verbs(engine: Engine) -> tuple[Verb, ...]:
    """Everything that can be asked of this engine."""
    return (
        *definition_verbs(engine),
        *execution_verbs(engine),
        *showing_verbs(engine),
        *form_verbs(engine),
        *state_verbs(engine),
        *deadletter_verbs(engine),
        *observing_verbs(engine),
        *usage_verbs(engine),
    )
