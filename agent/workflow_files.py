"""Deploys the files of `[engine] workflows_dir` at each start."""

import logging
from pathlib import Path

from engine.definition import InvalidWorkflow
from engine.engine import Engine

SUFFIXES = frozenset({".yaml", ".yml", ".json", ".toml"})
_log = logging.getLogger("ganglion.agent")


async def deploy_files(engine: Engine, directory: Path) -> int:
    """Deploy every workflow file of a directory; gives how many changed. A file that is not valid is logged, with all
    its problems, and the others are deployed. Raises StoreFull."""
    changed = 0
    for path in _workflow_files(directory):
        try:
            deployment, is_new = await engine.deploy(path.read_bytes(), filename=str(path))
        except InvalidWorkflow as invalid:
            for problem in invalid.problems:
                _log.error("%s", problem)
        except OSError as error:
            _log.error("%s can't be read: %s", path, error.strerror)
        else:
            changed += is_new
            if is_new:
                _log.info("deployed %s version %d from %s", deployment.row.workflow, deployment.row.version, path.name)
    return changed


def _workflow_files(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    except OSError as error:
        _log.error("workflows_dir: %s: %s; make it, or name another one", directory, error.strerror)
        return []
