"""What simulation tests share."""

import random

import pytest


@pytest.fixture
def dice() -> random.Random:
    return random.Random(11)
