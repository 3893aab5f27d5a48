"""Makes this machine answer as a Mac to code that uses MLX, and to nothing else.

Packages for MLX ask `platform.system()` and turn their Metal paths off, or `sys.platform` and
refuse to be imported. The answer therefore depends on who asks: modules of a package that imports
MLX, or has it in its name, are told of a Mac; the standard library, pytest, NumPy and all others
are told the truth, since they act on it.
"""

from __future__ import annotations

import platform
import sys
from types import FrameType, FunctionType, ModuleType
from typing import Any

_NAME = "darwin"
_ANSWERS = {
    "system": "Darwin",
    "machine": "arm64",
    "processor": "arm",
    "release": "24.6.0",
    "mac_ver": ("15.6", ("", "", ""), "arm64"),
}
_USERS: set[str] = set()


def replacements() -> list[tuple[Any, str, Any]]:
    """What to set while Metal stands in: object, attribute, value."""
    answers = [(platform, name, _question(name)) for name in _ANSWERS]
    return [(sys, "platform", _Platform(sys.platform)), *answers]


class _Platform(str):
    """The true name of this system, except where a module refuses to be imported elsewhere.

    That is written `if sys.platform != "darwin": raise ...` at its top. Inside functions, and with
    `==`, packages ask before they call macOS itself, which is not here.
    """

    __slots__ = ()
    __hash__ = str.__hash__
    __eq__ = str.__eq__

    def __ne__(self, other: object) -> bool:
        asker = sys._getframe(1)
        if other == _NAME and asker.f_code.co_name == "<module>" and _uses_mlx(asker):
            return False
        return str.__ne__(self, other)


def _question(name: str) -> Any:
    truth = getattr(platform, name)

    def answer(*arguments: Any, **named: Any) -> Any:
        return _ANSWERS[name] if _uses_mlx(sys._getframe(1)) else truth(*arguments, **named)

    return answer


def _uses_mlx(asker: FrameType) -> bool:
    """Whether a frame belongs to a package that uses MLX."""
    package = str(asker.f_globals.get("__name__", "")).partition(".")[0]
    if package in sys.stdlib_module_names - {"__main__"} or package in {"mlx", "foundry"}:
        return False
    if package in _USERS:
        return True
    found = "mlx" in package or _names_mlx(asker.f_globals) or _names_mlx(asker.f_locals)
    if not found and package != "__main__":
        modules = list(sys.modules.items())
        parts = [m for key, m in modules if key == package or key.startswith(f"{package}.")]
        found = any(_names_mlx(getattr(part, "__dict__", {})) for part in parts)
    if found:
        _USERS.add(package)
    return found


def _names_mlx(names: dict[str, Any]) -> bool:
    """Whether a module or function holds MLX, or something of a package that uses it."""
    return any(_package(value) in _USERS | {"mlx"} for value in list(names.values()))


def _package(value: Any) -> str:
    if isinstance(value, ModuleType):
        return value.__name__.partition(".")[0]
    if isinstance(value, FunctionType | type):
        return str(value.__module__).partition(".")[0]
    return ""
