"""A gauge that tests set."""

import pytest

from engine.resources.gauge import Load


class FakeGauge:
    """Says what the test says; passes the same contract as the real one (see test_gauge)."""

    def __init__(self) -> None:
        self.load = Load(0.0, 0.0)
        self.broken = ""
        self.readings = 0

    def read(self) -> Load:
        self.readings += 1
        if self.broken:
            raise OSError(self.broken)
        # The first reading knows of no time before it.
        return self.load if self.readings > 1 else Load(0.0, self.load.memory)


@pytest.fixture
def gauge() -> FakeGauge:
    return FakeGauge()
