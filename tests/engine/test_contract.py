from typing import Annotated

import msgspec
import pytest

from engine.contract import Condition, Role, Secret, Static, role_of


class Marked(msgspec.Struct):
    plain: str
    url: Annotated[str, Secret]
    optional: Annotated[str | None, Secret]
    inside: Annotated[str, Secret] | None
    described: Annotated[str, msgspec.Meta(description="only words")]
    fixed: Annotated[int, Static]
    asked: Condition


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("plain", Role.TEMPLATE),
        ("url", Role.SECRET),
        ("optional", Role.SECRET),
        ("inside", Role.SECRET),
        ("described", Role.TEMPLATE),
        ("fixed", Role.STATIC),
        ("asked", Role.EXPRESSION),
    ],
)
def test_a_fields_role_is_found_wherever_its_mark_stands(name: str, role: Role) -> None:
    [field] = [field for field in msgspec.structs.fields(Marked) if field.name == name]
    assert role_of(field) is role
