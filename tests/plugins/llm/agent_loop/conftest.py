"""A server that speaks as remote providers do; see tests/plugins/llm/contract."""

from tests.plugins.llm.contract.conftest import cloud, models_at, wire  # noqa: F401 - fixtures
