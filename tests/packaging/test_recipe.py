"""What a machine does to make a release: the script, and the recipe for GitHub's machines."""

import re
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
RECIPE: dict[str, Any] = YAML(typ="safe").load((ROOT / ".ci/release.yml").read_text())
STEPS = [step for job in RECIPE["jobs"].values() for step in job["steps"]]


def test_the_script_says_how_it_is_used_and_is_right_in_its_language() -> None:
    subprocess.run(["bash", "-n", ROOT / ".ci/release"], check=True)
    done = subprocess.run([ROOT / ".ci/release"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "sudo .ci/release build" in done.stderr


def test_what_others_have_written_is_named_by_its_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one) for one in used)


def test_both_architectures_are_built_and_neither_machine_sees_the_key() -> None:
    build, seal = RECIPE["jobs"]["build"], RECIPE["jobs"]["seal"]
    assert build["strategy"]["matrix"]["machine"] == ["ubuntu-24.04", "ubuntu-24.04-arm"]
    assert "secrets." not in str(build)
    assert "secrets.RELEASE_KEY" in str(seal)
    assert RECIPE["permissions"] == {}


def test_scripts_take_nothing_from_an_event() -> None:
    assert not [step for step in STEPS if "${{" in step.get("run", "")]
