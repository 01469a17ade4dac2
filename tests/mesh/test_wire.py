import pytest

from mesh.wire import check_headers, check_outgoing, headers_size


@pytest.mark.parametrize("subject", ["a", "log.f1", "sensors.größe", "ganglion.trigger.default.any.x"])
def test_subjects_that_a_workflow_may_use_pass(subject: str) -> None:
    check_outgoing(subject)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("", "empty"),
        ("a b", "spaces and control"),
        ("a\r\nPUB x 0", "spaces and control"),
        ("a..b", "empty token"),
        ("a.*", "wildcard"),
        ("a\udcff", "half a character"),
        ("$JS.API.STREAM.DELETE.X", "reserved"),
        ("_INBOX.x.y", "reserved"),
        ("ganglion.service.default.edge.deploy", "the agent's own"),
        ("ganglion.event.default.edge.x.workflow.completed", "the agent's own"),
    ],
)
def test_subjects_that_inject_or_impersonate_are_refused(subject: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_outgoing(subject)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nX-B: c"), ("X-A", "b\n"), ("X A", "b"), ("X:A", "b"), ("", "b"), ("X\r\n", "b"),
        ("X-A", "\ud800"),
    ],
)  # fmt: skip
def test_headers_that_inject_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header"):
        check_headers({name: value})


def test_headers_have_their_size_on_the_wire() -> None:
    check_headers({"X-A": "b c", "Nats-Msg-Id": "1"})
    assert headers_size({}) == 0
    assert headers_size({"X-A": "ü"}) == len("NATS/1.0\r\nX-A: ü\r\n\r\n".encode())
