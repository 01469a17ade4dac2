"""What people and programs may ask of a running engine: a closed set of verbs with typed requests and answers.

    verb.py          what a verb is; how a refusal looks
    messages.py      the requests and answers
    engine.py        the verbs of an engine (`engine_verbs`), from the *_verbs.py beside it
    fleet_verbs.py   the verbs of a recorder of the fleet, from the fleet_*.py beside it

The mesh serves them over NATS, the command line calls them; both decode with the types given here.
"""

from engine.control.verb import Refused, Verb

__all__ = ["Refused", "Verb"]
