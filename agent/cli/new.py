"""`new`: a workflow file to start from, or one made from a template. Nothing that is there is overwritten unasked."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.failure import Failure
from agent.cli.options import AsJson, ConfigFile, Params, assignments, settings
from agent.cli.screen import remark, say, table, write_json
from agent.cli.starter import starter
from engine.values import Json

if TYPE_CHECKING:
    from agent.templates.making import Made
    from engine.definition.model import Param
    from engine.definition.template import Template

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def complete_templates(incomplete: str) -> list[str]:
    """Names of built-in templates."""
    from agent.templates.catalogue import builtin_names

    return [name for name in builtin_names() if name.startswith(incomplete)]


def new(
    name: Annotated[
        str | None,
        typer.Argument(help="The workflow's name: lower-case letters, digits and hyphens.", show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="A template: a built-in one by name, or a file.", show_default=False,
                     autocompletion=complete_templates),
    ] = None,
    param: Params = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; - is standard output.", show_default="NAME.yaml")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the built-in templates.")] = False,
    update: Annotated[
        Path | None,
        typer.Option("--update", help="Show what the template of this file, as it is now, would change in it.",
                     show_default=False),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="With --update: change the file.")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write a workflow file to start from: a commented one, or one made from a template."""
    given = assignments(param, "-p")
    if list_all:
        _list(as_json)
    elif update is not None:
        _update(update, source, given, config, write=write, as_json=as_json)
    elif source is not None:
        _from_template(source, name, given, file, config, as_json)
    elif name is not None and not given:
        _starter(name, file)
    else:
        raise Failure("name the workflow, or a template with --from; `ganglion new --list` lists templates")


def _starter(name: str, file: Path | None) -> None:
    if not _NAME.fullmatch(name):
        raise Failure(f"{name!r} is no workflow name: use up to 64 lower-case letters, digits and hyphens")
    path = file or Path(f"{name}.yaml")
    _write(path, starter(name))
    if str(path) != "-":
        say(f"{path}\n\nNext: ganglion check {path}\nThen: ganglion run {path}")


def _list(as_json: bool) -> None:
    from agent.templates.catalogue import builtin_names, read_builtin

    templates = [read_builtin(name) for name in builtin_names()]
    if as_json:
        write_json(
            {
                "templates": [
                    {
                        "name": template.name,
                        "version": template.version,
                        "description": template.description,
                        "params": {name: _described(param) for name, param in template.params.items()},
                    }
                    for template in templates
                ]
            }
        )
        return
    table(
        ("TEMPLATE", "PARAMETERS (* required)", "WHAT IT IS FOR"),
        (
            (
                f"{template.name}@{template.version}",
                ", ".join(f"{name}*" if param.required else name for name, param in template.params.items()),
                template.description,
            )
            for template in templates
        ),
        last_wraps=True,
    )
    say("\nMake one: ganglion new --from TEMPLATE -p NAME=VALUE")


def _from_template(
    source: str, name: str | None, given: dict[str, Json], file: Path | None, config: Path | None, as_json: bool
) -> None:
    template = _found(source)
    if name is not None:
        if "name" not in template.params:
            raise Failure(f"{source} has no parameter `name`, so the workflow's name is fixed: leave {name} out")
        given = {**given, "name": name}
    _ask_for_missing(template, given, as_json=as_json)
    made = _made(template, source, given, config)
    path = file or Path(f"{made.workflow}.yaml")
    _write(path, made.text)
    if as_json:
        answer = {"file": str(path), "workflow": made.workflow, "template": template.name, "version": template.version}
        if str(path) != "-":
            write_json(answer)
    elif str(path) != "-":
        say(f"{path}\n\nNext: ganglion check {path}\nThen: ganglion deploy {path}")


def _update(
    path: Path, source: str | None, given: dict[str, Json], config: Path | None, *, write: bool, as_json: bool
) -> None:
    from agent.templates.making import changes, is_edited, read_origin

    try:
        old = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"{path}: {getattr(error, 'strerror', error)}: name a file made by `ganglion new --from`"
        ) from None
    origin = read_origin(old)
    if origin is None:
        raise Failure(f"{path} does not say which template it was made from: only files of `ganglion new --from` do")
    template = _found(source or origin.source)
    if template.name != origin.name:
        raise Failure(f"{path} was made from {origin.name}, and {source} is the template {template.name}")
    given = {**{name: value for name, value in origin.params.items() if name in template.params}, **given}
    _ask_for_missing(template, given, as_json=as_json)
    made = _made(template, source or origin.source, given, config)
    edited = is_edited(old, origin)
    difference = changes(str(path), old, made.text)
    if write and difference:
        if edited:
            raise Failure(f"{path} was changed by hand since it was made: take over what you need of the difference")
        path.write_text(made.text)
    if as_json:
        write_json(
            {
                "file": str(path), "template": template.name, "from": origin.version, "to": template.version,
                "edited": edited, "written": write and bool(difference), "diff": difference,
            }
        )  # fmt: skip
        return
    if not difference:
        say(f"{path} is what {template.name}@{template.version} gives")
        return
    sys.stdout.write(difference)
    if edited:
        remark("the file was changed by hand since it was made: the difference would undo that")
    remark(
        f"{path}: {template.name}@{origin.version} to {template.version}, "
        + ("written" if write else "nothing was changed; --write does it")
    )


def _found(source: str) -> "Template":
    from agent.templates.catalogue import UnknownTemplate, find_template
    from engine.definition import InvalidWorkflow

    try:
        return find_template(source)
    except OSError as error:
        raise Failure(f"{source}: {error.strerror}: name a template that can be read") from None
    except (UnknownTemplate, InvalidWorkflow) as error:
        raise Failure(str(error)) from None


def _made(template: "Template", source: str, given: dict[str, Json], config: Path | None) -> "Made":
    from agent.node_types import node_types
    from agent.templates.making import make
    from engine.definition import InvalidWorkflow

    # A type that is off here is still known: whether it may run is said where it is deployed.
    types = node_types(allow_shell=True if config is None else settings(config).engine.allow_shell)
    try:
        return make(template, source, given, types=types)
    except InvalidWorkflow as invalid:
        raise Failure(str(invalid)) from None


def _ask_for_missing(template: "Template", given: dict[str, Json], *, as_json: bool) -> None:
    """On a terminal, ask; else say which values are needed."""
    from engine.definition.template import missing

    wanted = missing(template, given)
    if not wanted:
        return
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        listed = "\n".join(f"  -p {name}=…  {_wanted(param)}" for name, param in wanted.items())
        raise Failure(f"{template.name} needs {'a value' if len(wanted) == 1 else 'values'}:\n{listed}")
    for name, param in wanted.items():
        answer = typer.prompt(f"{name}, {_wanted(param)}", err=True)
        given.update(assignments([f"{name}={answer}"], "-p"))


def _wanted(param: "Param") -> str:
    return f"{param.type}: {param.description}" if param.description else param.type


def _described(param: "Param") -> dict[str, Json]:
    return {
        field: value
        for field in param.__struct_fields__
        if (value := getattr(param, field)) not in (None, "", False, msgspec.UNSET)
    }


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        with path.open("x") as out:
            out.write(text)
    except FileExistsError:
        raise Failure(f"{path} is there already: take another name, or -o FILE") from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
