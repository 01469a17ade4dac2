"""What `ganglion doctor` found."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `remedy` is empty where nothing is to be done."""

    check: str
    verdict: Verdict
    message: str
    remedy: str = ""
