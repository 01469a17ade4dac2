"""The JSON Schema of a struct, with the docstrings of its classes and fields as descriptions."""

import ast
import functools
import inspect
from typing import Any

import msgspec
from msgspec import inspect as types

Schema = dict[str, Any]
WHOLE = "#/$defs/{name}"


def schema_of(struct: type[msgspec.Struct]) -> Schema:
    """The schema of a struct with all descriptions; what it consists of is in `$defs`."""
    (ref,), defs = msgspec.json.schema_components([struct], ref_template=WHOLE)
    for part in parts_of(struct):
        found = defs.get(part.__name__)
        if found is not None:
            found["properties"] = {
                name: field | ({"description": said} if (said := said_of(part, name)) else {})
                for name, field in found["properties"].items()
            }
    own = defs.pop(ref["$ref"].rpartition("/")[2])
    if own.get("description", "").startswith(f"{struct.__name__}("):
        del own["description"]  # a class without a docstring
    return own | ({"$defs": defs} if defs else {})


def parts_of(struct: type[msgspec.Struct]) -> set[type[msgspec.Struct]]:
    """The struct and all structs that it consists of."""
    found: set[type[msgspec.Struct]] = set()

    def look(about: object) -> None:
        if isinstance(about, types.StructType):
            if about.cls in found:
                return
            found.add(about.cls)
            for field in about.fields:
                look(field.type)
        elif isinstance(about, types.Type):
            for name in about.__struct_fields__:
                inner = getattr(about, name)
                for one in inner if isinstance(inner, tuple) else (inner,):
                    look(one)

    look(types.type_info(struct))
    return found


def said_of(struct: type[msgspec.Struct], encoded: str) -> str:
    """The docstring of a field, which stands below it; "" without one."""
    name = next(field.name for field in msgspec.structs.fields(struct) if field.encode_name == encoded)
    return next((said for base in struct.__mro__ if (said := docstrings(base).get(name))), "")


@functools.cache
def docstrings(cls: type) -> dict[str, str]:
    """Field -> docstring, of the class itself."""
    if cls.__module__.partition(".")[0] not in ("agent", "engine", "mesh"):
        return {}
    [found] = ast.parse(inspect.getsource(cls)).body
    assert isinstance(found, ast.ClassDef)
    said: dict[str, str] = {}
    for one, below in zip(found.body, found.body[1:], strict=False):
        match one, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                said[name] = " ".join(text.split())
    return said
