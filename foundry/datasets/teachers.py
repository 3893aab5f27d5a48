"""Who wrote a kernel, and whether it may train a model.

A kernel inherits from its parents: the offline mutator's child of a model's kernel is that model's
work too. Terms (November 2026): Anthropic and OpenAI forbid training competing models on their
outputs without permission; what stands behind any other server is not known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from foundry.store.records import Origin

Origins = Mapping[str, tuple[Origin, str | None]]
"""First origin and parent hash of every kernel hash: `Store.origins()`."""


class Use(StrEnum):
    """Whether a kernel may be used to train a model."""

    FREE = "free"
    """Made by this program from its own templates: MIT."""
    OPEN = "open"
    """A model of open weights, whose licence lets its outputs train others."""
    UNKNOWN = "unknown"
    """Somebody's file or template, or a model behind a server that is not named."""
    RESTRICTED = "restricted"
    """A provider whose terms forbid training competing models."""


TEACHERS: Mapping[str, tuple[Use, ...]] = {
    "own": (Use.FREE,),
    "open-weights": (Use.FREE, Use.OPEN),
    "all": tuple(Use),
}
"""Whose kernels are wanted, by the name that commands know."""
PLANTER = "planted"
"""Who wrote a kernel with a planted fault: this program, on top of what it was made from."""
_PROVIDERS = {
    "anthropic": Use.RESTRICTED,
    "openai": Use.RESTRICTED,
    "mutate": Use.FREE,
    PLANTER: Use.FREE,
}
_OPEN_WEIGHTS = (
    "qwen", "qwq", "deepseek", "gpt-oss", "smollm", "devstral", "mixtral", "olmo", "granite",
    "phi-", "phi3", "phi4", "glm-4", "glm-5",
)  # fmt: skip
"""How names of models start whose weights are under Apache-2.0 or MIT (November 2026)."""
_OTHER_TERMS = re.compile(
    r"qwen(?:1\.5)?[-:]"  # the first generations, and qwen-max, qwen-plus, ...
    r"|(?:qwen|qwq).*-(?:max|plus|turbo|flash|long)\b"
    r"|qwen2(?:\.5)?[-:](?:\w+[-:])?72b|qwen2\.5[-:](?:\w+[-:])?3b"
    r"|deepseek-(?:coder|llm|moe|math|vl|v2)|deepseek-v3(?:-base)?$|deepseek-r1-distill-llama"
    r"|glm-4-(?:plus|air|flash|long|9b)|devstral-medium"
)
"""Names among them of models that are served only, or have a licence of their own."""
_STRICTEST = (Use.FREE, Use.OPEN, Use.UNKNOWN, Use.RESTRICTED)
LICENCES = {
    Use.FREE: "MIT",
    Use.OPEN: "MIT; its teachers' weights are Apache-2.0 or MIT",
    Use.UNKNOWN: "unknown",
    Use.RESTRICTED: "provider-terms",
}


@dataclass(frozen=True)
class Lineage:
    """Everybody who had a hand in a kernel."""

    teachers: tuple[str, ...]
    """`template`, `mutate`, `file`, or `proposer:model`; the kernel's own author first."""
    use: Use

    @property
    def licence(self) -> str:
        """Licence of the text, as far as it is known."""
        return LICENCES[self.use]


def joined(lineages: Sequence[Lineage]) -> Lineage:
    """The authors of several kernels together, and the strictest of their terms."""
    teachers = dict.fromkeys(teacher for one in lineages for teacher in one.teachers)
    return Lineage(tuple(teachers), max((one.use for one in lineages), key=_STRICTEST.index))


def lineage(kernel_hash: str, origins: Origins) -> Lineage:
    """The authors of a kernel and of all its ancestors, and the strictest of their terms."""
    found: dict[str, Use] = {}
    for origin in _ancestry(kernel_hash, origins):
        teacher, use = ("lost ancestor", Use.UNKNOWN) if origin is None else _author(origin)
        found.setdefault(teacher, use)
    return Lineage(tuple(found), max(found.values(), key=_STRICTEST.index))


def _ancestry(kernel_hash: str | None, origins: Origins) -> Iterator[Origin | None]:
    """Origins up to the root; None for a kernel that is not in the store."""
    seen: set[str] = set()
    while kernel_hash is not None and kernel_hash not in seen:
        seen.add(kernel_hash)
        origin, kernel_hash = origins.get(kernel_hash, (None, None))
        yield origin


def _author(origin: Origin) -> tuple[str, Use]:
    if origin.kind == "template":
        return "template", Use.FREE if origin.name in _own_templates() else Use.UNKNOWN
    if origin.kind == "file":
        return "file", Use.UNKNOWN
    model = origin.detail.get("model")
    teacher = f"{origin.name}:{model}" if model else origin.name
    if origin.name in _PROVIDERS:
        return teacher, _PROVIDERS[origin.name]
    return teacher, Use.OPEN if _is_open(str(model or "")) else Use.UNKNOWN


def _is_open(model: str) -> bool:
    name = model.lower().rpartition("/")[2]
    return name.startswith(_OPEN_WEIGHTS) and not _OTHER_TERMS.match(name)


@cache
def _own_templates() -> frozenset[str]:
    import templates
    from templates.registry import load_folder

    folder = Path(str(templates.__file__)).parent
    return frozenset(template.name for template in load_folder(folder))
