"""Folders of adopted calls: op file, kernel file and settings, so that a search needs no options.

    FOLDER/NAME/op.py         the op: axes, reference, cases
    FOLDER/NAME/kernel.metal  the kernel
    FOLDER/NAME/foundry.toml  settings that name both

A call is held to everything before it is kept: the op to the rules, the kernel to the op, and the
reference to the shapes and dtypes of the call.
"""

from __future__ import annotations

import shutil
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

OP_FILE, KERNEL_FILE, SETTINGS_FILE = "op.py", "kernel.metal", "foundry.toml"
_KNOWING = ("run", "verify", "bench", "sanitize", "list", "report", "export", "export-sft")
_DISCOVERING = ("tell", "show", "report", "list", "compare", "export")
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
        place = self.folder / call.name
        texts = {
            OP_FILE: op_text(call),
            KERNEL_FILE: kernel_text(call),
            SETTINGS_FILE: _settings(call),
        }
        if place.exists():
            return self._same(place, call, texts)
        place.mkdir(parents=True)
        try:
            for name, text in texts.items():
                (place / name).write_text(text, encoding="utf-8")
            return _checked(place, call)
        except BaseException:
            shutil.rmtree(place)
            raise

    def load(self) -> None:
        """Register every op that was adopted here.

        Raises:
            UsageError: A file that was changed and does not load any more.
        """
        for file in sorted(self.folder.glob(f"*/{OP_FILE}")):
            registry.load_file(file)

    def kernel_of(self, op: str) -> Path | None:
        """The kernel file of an adopted op; None for any other op."""
        file = self.folder / op / KERNEL_FILE
        return file if file.is_file() else None

    def _same(self, place: Path, call: AdoptedCall, texts: dict[str, str]) -> Op:
        held = {name: _text(place / name) for name in texts}
        if held != texts:
            raise UsageError(
                f"{place} holds another '{call.name}' already; choose another name, or remove it"
            )
        return registry.load_file(place / OP_FILE)[0]


def _checked(place: Path, call: AdoptedCall) -> Op:
    try:
        op = registry.load_file(place / OP_FILE)[0]
        check(parse(kernel_text(call)), op)
        for said in disagreements(op, op.dtypes[0], ("normal",)):
            raise UsageError(f"the reference of '{call.name}' does not fit: {said}")
        registry.all_ops()
    except BaseException:
        registry.forget_file(place / OP_FILE)
        raise
    return op


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
