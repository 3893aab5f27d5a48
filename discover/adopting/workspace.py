"""Folders of adopted calls: op file, kernel file and settings, so that a search needs no options.

    FOLDER/NAME/op.py         the op: axes, reference, cases
    FOLDER/NAME/kernel.metal  the kernel
    FOLDER/NAME/foundry.toml  settings that name both

A call is held to everything before it is kept: the op to the rules, the kernel to the op, and the
reference to the shapes and dtypes of the call. Until then it lies in a hidden folder beside, so
that a folder of that name is always whole.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from discover.adopting.call import AdoptedCall
from discover.adopting.kernel_file import kernel_text
from discover.adopting.op_file import op_text
from foundry.errors import UsageError
from foundry.kernel import check, parse
from foundry.testing.op_contract import disagreements
from ops import registry
from ops.spec import Op
from ops.texts.expressions import ExpressionError

_FILES = OP_FILE, KERNEL_FILE, SETTINGS_FILE = "op.py", "kernel.metal", "foundry.toml"
_KNOWING = (
    "run", "verify", "bench", "sanitize", "predict", "shortlist", "confirm", "chips.fit",
    "precision", "list", "report", "export", "export-sft", "data.build", "data.verify",
    "catalog.build", "catalog.verify",
)  # fmt: skip
_DISCOVERING = (
    "autorun", "dataset", "compare", "tell", "mcp", "show", "report", "list", "export",
)  # fmt: skip
_STARTED = ("search", "ask")
"""Commands of discover that take a kernel to start from."""
_SETTINGS = """# Commands here know the op, and discover search {name} starts from its kernel.
{tables}"""


@dataclass(frozen=True)
class Workspace:
    """A folder of adopted calls."""

    folder: Path

    def adopt(self, call: AdoptedCall) -> Op:
        """Keep a call and register its op.

        Raises:
            UsageError: Something does not fit, in one sentence; nothing is kept then.
            InvalidKernel: The source is no kernel of that op.
        """
        place, texts = self.folder / call.name, _texts(call)
        if place.exists():
            return _same(place, texts)
        _refuse_a_known_name(place)
        with self._written(texts) as draft:
            _check(draft, call)
            try:
                draft.rename(place)
            except OSError:
                if not place.exists():
                    raise
                # Another process was first.
                return _same(place, texts)
        return registry.load_file(place / OP_FILE)[0]

    def load(self) -> None:
        """Register every op that was adopted here; a folder that lacks a file is no adopted call.

        Raises:
            UsageError: A file that was changed and does not load any more.
        """
        for file in sorted(self.folder.glob(f"[!.]*/{OP_FILE}")):
            if all((file.parent / name).is_file() for name in _FILES):
                registry.load_file(file)

    def kernel_of(self, op: str) -> Path | None:
        """The kernel file of an adopted op; None for any other op."""
        file = self.folder / op / KERNEL_FILE
        return file if file.is_file() else None

    @contextmanager
    def _written(self, texts: Mapping[str, str]) -> Iterator[Path]:
        """A hidden folder that holds the files; gone at the end, unless it has been renamed."""
        draft = self.folder / f".draft-{secrets.token_hex(4)}"
        draft.mkdir(parents=True)
        try:
            for name, text in texts.items():
                (draft / name).write_text(text, encoding="utf-8")
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _texts(call: AdoptedCall) -> dict[str, str]:
    """By file."""
    try:
        op = op_text(call)
    except ExpressionError as error:
        raise UsageError(f"a size of '{call.name}' where it is tried: {error}") from None
    return {OP_FILE: op, KERNEL_FILE: kernel_text(call), SETTINGS_FILE: _settings(call)}


def _same(place: Path, texts: Mapping[str, str]) -> Op:
    """The op of a folder that holds the very same."""
    if {name: _text(place / name) for name in texts} != texts:
        raise UsageError(
            f"{place} holds another '{place.name}' already; choose another name, or remove it"
        )
    return registry.load_file(place / OP_FILE)[0]


def _refuse_a_known_name(place: Path) -> None:
    # Its folder may have been removed since it was adopted here.
    registry.forget_file(place / OP_FILE)
    if place.name in registry.all_ops():
        raise UsageError(f"there is an op '{place.name}' already; choose a new name")


def _check(draft: Path, call: AdoptedCall) -> None:
    try:
        op = registry.load_file(draft / OP_FILE)[0]
        check(parse(kernel_text(call)), op)
        for said in disagreements(op, op.dtypes[0], ("normal",)):
            raise UsageError(
                f"the reference of '{call.name}' does not fit: {said} (a size that follows from "
                "others is arithmetic over their axes, such as cols // 8)"
            )
        registry.all_ops()
    finally:
        registry.forget_file(draft / OP_FILE)


def _settings(call: AdoptedCall) -> str:
    """Settings under which every command that takes ops of a user's own knows this one."""
    own = f'op-file = ["{OP_FILE}"]\n'
    plain = [f"[{table}]\n{own}" for table in _KNOWING]
    searching = [f"[discover.{table}]\n{own}" for table in _DISCOVERING]
    start = f'{own}from = "{KERNEL_FILE}"\ndtype = "{call.element}"\n'
    starting = [f"[discover.{table}]\n{start}" for table in _STARTED]
    return _SETTINGS.format(name=call.name, tables="".join([*plain, *searching, *starting]))


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
