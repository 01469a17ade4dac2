"""What starts and stops an agent is known from outside."""

import pytest

from agent.update.unit import unit_in


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/ganglion.service\n", "ganglion.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/ganglion.service", "--user ganglion.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service", ""),
        ("12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/ganglion.service\n", "ganglion.service"),
        ("0::/", ""),
        ("", ""),
    ],
)
def test_the_service_of_an_agent_is_read_off_its_control_group(cgroup, unit) -> None:
    assert unit_in(cgroup) == unit
