"""Requests and answers about forms."""

import msgspec

from engine.control.messages import Answer, Request
from engine.values import Json


class Forms(Request, frozen=True, kw_only=True):
    """Open forms, the oldest first."""

    form: str = ""
    """Only this one, by its id or the beginning of it."""
    assignee: str = ""
    """Only those that this person may submit."""
    all: bool = False
    """Also those of the past, as long as their executions are kept."""
    limit: int = 100


class FormInfo(Answer, frozen=True, kw_only=True):
    form: str
    """Its id; the beginning will do where it is unique."""
    status: str
    """open, submitted, or closed: its time is over, or its execution was cancelled."""
    execution: str
    workflow: str
    node: str
    title: str
    message: str
    fields: dict[str, dict[str, Json]]
    """What to fill in, declared like parameters."""
    assignees: list[str]
    opened_at: str
    until: str | None
    answer: Json = None
    """{values, by, at} of a submitted one."""


class FormList(Answer, frozen=True, kw_only=True):
    forms: list[FormInfo]


class Submit(Request, frozen=True, kw_only=True):
    """Fill a form in."""

    form: str
    values: dict[str, Json] = msgspec.field(default_factory=dict)
    by: str = ""
    """Who says so."""


class Submitted(Answer, frozen=True, kw_only=True):
    form: str
    execution: str
    node: str
    values: dict[str, Json]
    """With the defaults of what was left out."""
