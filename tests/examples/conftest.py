"""The model that comes with the examples, and its page."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models() -> Path:
    return Path(__file__).parents[2] / "examples" / "models"


@pytest.fixture(scope="session")
def page(models: Path) -> str:
    return (models / "README.md").read_text()
