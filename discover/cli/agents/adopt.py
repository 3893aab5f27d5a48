"""`discover adopt`: an op of a user's own `metal_kernel` call, to be searched like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from discover.cli import options as own
from foundry.cli import options, parameters
from foundry.cli.output import note, print_json
from foundry.errors import UsageError

if TYPE_CHECKING:
    from discover.adopting.call import AdoptedCall
    from ops.spec import Op


@click.command("adopt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--reference",
    metavar="TEXT|FUNCTION",
    help="MLX that gives the same, over the kernel's inputs: 'mx.softmax(x, axis=-1)', or the name "
    "of a function of the script.",
)
@click.option("--name", help="Name of the op.  [default: the kernel's]")
@click.option("--kernel", help="Which kernel of the script, where it calls several.")
@click.option(
    "--axes",
    metavar="NAME,...",
    help="Names of the axes, in the order in which their sizes come; of a size that follows from "
    "others, how: rows,cols,cols//8.  [default: rows,cols; ...]",
)
@click.option(
    "--fixed", metavar="NAME,...", help="Axes whose sizes the source has written into it."
)
@click.option(
    "--multiple",
    "multiples",
    type=parameters.AxisSizes(),
    help="Axes whose sizes are always a multiple: cols=4.",
)
@own.workspace_option
@options.json_option
@options.debug_option
def command(
    file: Path,
    reference: str | None,
    name: str | None,
    kernel: str | None,
    axes: str | None,
    fixed: str | None,
    multiples: dict[str, int] | None,
    workspace: Path,
    as_json: bool,
) -> None:
    """Make an op of your own call of mx.fast.metal_kernel.

    FILE is a Python script, which is run and watched, or a JSON file of one call, as agents send
    it to discover mcp. Its sizes become axes, so that the judge can try others; its shapes are
    what is timed. The folder NAME of the workspace then holds the op, the kernel, and settings
    under which discover search NAME needs no options.
    """
    from discover.adopting.naming import Wishes, named
    from discover.adopting.recording import record
    from discover.adopting.workspace import Workspace

    if file.suffix == ".json":
        for option, value in (("--axes", axes), ("--kernel", kernel)):
            if value is not None:
                raise UsageError(f"{option} goes with a script; {file} names one call and its axes")
        call = _from_json(file, {"name": name, "reference": reference}, _words(fixed), multiples)
    elif reference is None:
        raise UsageError("say what is right: --reference 'mx.softmax(x, axis=-1)'")
    else:
        wishes = Wishes(reference, name, kernel, _words(axes), _words(fixed), multiples)
        call = named(record(file), wishes)
    op = Workspace(workspace).adopt(call)
    folder = workspace / op.name
    if as_json:
        print_json(_document(call, folder))
        return
    _show(call, op, folder)


def _words(text: str | None) -> tuple[str, ...]:
    """What stands between commas, those in parentheses apart: `rows,max(rows, 4)` is two."""
    words, depth = [""], 0
    for sign in text or "":
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth <= 0:
            words.append("")
        else:
            words[-1] += sign
    return tuple(word.strip() for word in words if word.strip())


def _from_json(
    file: Path,
    given: dict[str, str | None],
    fixed: tuple[str, ...],
    multiples: dict[str, int] | None,
) -> AdoptedCall:
    """The call of a file, with what options say in place of it or beside it."""
    from discover.adopting.call import read_call

    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{file} holds no call: it is one JSON object")
    document |= {key: value for key, value in given.items() if value is not None}
    call = read_call(document)
    held = {"fixed": [*call.fixed, *fixed], "multiples": {**call.multiples, **(multiples or {})}}
    return read_call({**document, **held})


def _document(call: AdoptedCall, folder: Path) -> dict[str, Any]:
    from discover.adopting.cases import notes

    return {
        "op": call.name,
        "folder": str(folder),
        "call": call.model_dump(mode="json"),
        "notes": list(notes(call)),
    }


def _show(call: AdoptedCall, op: Op, folder: Path) -> None:
    from discover.adopting.cases import notes

    arrays = {**call.arrays, **call.outputs}
    for name, array in arrays.items():
        click.echo(f"{name}: {call.dtype_of(array)}[{', '.join(map(str, array.shape))}]")
    for name, number in call.numbers.items():
        click.echo(f"{name}: {number}")
    click.echo(f"grid: {', '.join(map(str, call.grid))}")
    for sizes in call.sizes:
        click.echo(f"timed at: {', '.join(f'{axis} = {size}' for axis, size in sizes.items())}")
    for said in notes(call):
        note(said)
    note(f"{folder}/op.py is yours: correct what was guessed wrong")
    note(f"next: cd {folder} && foundry verify kernel.metal --dtype {op.dtypes[0]}")
    note(f"next: cd {folder} && discover search {op.name}")
