"""Compiled plans, kept over all lives of one seed: reading a workflow takes longer than most lives do.

What a file says does not depend on faults. One seed in ten goes without, so that stored definitions are read too.
"""

import msgspec

from engine.dispatch.catalogue import Catalogue, Draft
from engine.planning.plan import Plan
from engine.store.definitions import DefinitionRow
from tests.simulation.acting import Acting


class Shelf:
    """Stands between a catalogue and the reading of workflows."""

    def __init__(self, seed: int) -> None:
        self.acting = Acting(seed)
        """What the plans call."""
        self._drafts: dict[bytes, Draft] = {}
        self._plans: dict[str, Plan] = {}
        self._is_open = seed % 10 != 0

    def serve(self, catalogue: Catalogue) -> None:
        if not self._is_open:
            return
        read, compile_ = catalogue._read, catalogue._compile

        def fresh(source: bytes, *more: object) -> Draft:
            if source not in self._drafts:
                self._drafts[source] = read(source, *more)
            return self._drafts[source]

        def stored(row: DefinitionRow) -> Plan:
            if row.hash not in self._plans:
                self._plans[row.hash] = compile_(row)
            return msgspec.structs.replace(self._plans[row.hash], version=row.version)

        catalogue._read, catalogue._compile = fresh, stored
