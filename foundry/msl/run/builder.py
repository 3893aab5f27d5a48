"""A kernel's text to a loaded library, through the cache.

1. The key of a build is the text MLX generated, the math mode and the toolchain, so that a cached
   kernel is found before anything is checked, rewritten or compiled.
2. A miss is checked and translated. The unit that comes out has a key of its own, under which it
   is compiled and stored, whether it builds or not: MLX generates several texts for one kernel
   (`variants`), each is checked, and one is compiled.
3. Libraries stay loaded for the life of the process, up to a bound.

Files: `<text key>.unit` names a unit, or `<text key>.log` says why there is none; `<unit key>.so`
is its library, or `<unit key>.log` the compiler's words; `<text's digest>.metal` holds what Metal's
compiler has against a text, and a line's end.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from foundry.errors import EnvironmentUnusable
from foundry.msl.build import cache, diagnostics, metal_check, objects
from foundry.msl.build.compiler import CompilerFailed
from foundry.msl.build.toolchain import MLX, WHOLE_FILES, Toolchain, find_toolchain
from foundry.msl.frontend.language import Language, chosen
from foundry.msl.frontend.metal_texts import MetalTexts
from foundry.msl.frontend.refusals.brackets import unmatched
from foundry.msl.frontend.refusals.refusal import Refused
from foundry.msl.frontend.rewriting.threadgroup import BadDeclaration
from foundry.msl.frontend.signature import Captured, SignatureError, parse
from foundry.msl.frontend.tokens import Token
from foundry.msl.frontend.unit import Unit, translate
from foundry.msl.run.runtime import LoadedKernel, load_runtime
from foundry.program import BuildFailure

_LOADED_LIBRARIES = 512
_END = "\n"


@dataclass(frozen=True)
class Text:
    """What decides a build: the generated source, its header and body, the math mode."""

    captured: Captured
    header: str
    source: str
    math_mode: str = "safe"

    @property
    def dialect(self) -> str:
        """Of the prelude that it is written against."""
        return WHOLE_FILES if self.captured.facts else MLX


@dataclass
class Builder:
    """Builds and loads kernels with one toolchain."""

    toolchain: Toolchain
    language: Language = field(default_factory=chosen)
    _loaded_runtime: ctypes.CDLL | None = field(default=None, init=False)
    _loaded: OrderedDict[str, LoadedKernel | BuildFailure] = field(
        default_factory=OrderedDict, init=False
    )

    def build(self, text: Text) -> LoadedKernel | BuildFailure:
        """The loaded kernel, or why there is none.

        Raises:
            EnvironmentUnusable: when the compiler or the cache does not work here.
        """
        key = self._key(text)
        built = self._known(key) or self._keep(key, self._find_text(key) or self._make(key, text))
        if isinstance(built, BuildFailure):
            return built
        return built.with_arguments(text.captured.argument_bytes)

    def translate(self, text: Text) -> Unit:
        """The translation unit of a kernel."""
        parsed = parse(text.captured, text.header, text.source)
        try:
            return translate(parsed, self.language, self.toolchain.preprocess, self.resolve)
        except (LookupError, RuntimeError):
            # Some pass went beyond the end of a text that ends in the middle.
            if lost := unmatched({"header": text.header, "source": text.source}):
                raise lost from None
            raise

    def resolve(self, text: str) -> str:
        """What the pass that knows address spaces says about a text."""
        return metal_check.resolve(self.toolchain.plain, text, self.language)

    def load(self, path: Path) -> LoadedKernel:
        """The library of a compiled kernel."""
        return LoadedKernel(path, self._runtime())

    def _known(self, key: str) -> LoadedKernel | BuildFailure | None:
        known = self._loaded.get(key)
        if known is not None:
            self._loaded.move_to_end(key)
        return known

    def _keep(self, key: str, result: LoadedKernel | BuildFailure) -> LoadedKernel | BuildFailure:
        self._loaded[key] = result
        if len(self._loaded) > _LOADED_LIBRARIES:
            self._loaded.popitem(last=False)
        return result

    def _key(self, text: Text) -> str:
        settings = (self.toolchain.id, self.language.version, text.math_mode)
        captured = text.captured
        form = f"{len(text.header)} {captured.may_overlap}"
        return _digest(*settings, form, captured.source, captured.facts)

    def _unit_key(self, text: Text, unit: Unit) -> str:
        """The user's text is part of it for the compiler's words, which quote it."""
        return _digest(self.toolchain.id, text.math_mode, text.header, text.source, unit.text)

    def _find_text(self, key: str) -> LoadedKernel | BuildFailure | None:
        unit_key = self._read(f"{key}.unit")
        return self._find(key if unit_key is None else unit_key)

    def _find(self, key: str) -> LoadedKernel | BuildFailure | None:
        """What was built under a key, loaded now or before."""
        if known := self._known(key):
            return known
        compiled = self.toolchain.cache.find(f"{key}.so")
        if compiled is not None:
            try:
                return self._keep(key, self.load(compiled))
            except OSError:  # gone since, or cut short by a crash of the machine: build it again
                return None
        log = self._read(f"{key}.log")
        return None if log is None else BuildFailure(log)

    def _read(self, name: str) -> str | None:
        found = self.toolchain.cache.find(name)
        try:
            return None if found is None else found.read_text()
        except FileNotFoundError:
            return None

    def _make(self, key: str, text: Text) -> LoadedKernel | BuildFailure:
        try:
            unit = self.translate(text)
        except CompilerFailed as failure:
            return self._failed(key, self._words(failure, text, {}))
        except (SignatureError, Refused, BadDeclaration) as error:
            return self._failed(key, str(error))
        unit_key = self._unit_key(text, unit)
        with ThreadPoolExecutor(1) as beside:
            judged = beside.submit(self.complaint, unit.metal_texts)
            result = self._find(unit_key) or self._compile(unit_key, text, unit)
            complaint = judged.result()
        if complaint and not unit.unsupported:
            return self._failed(key, self._words(CompilerFailed(complaint), text, unit.metal_parts))
        self.toolchain.cache.put(f"{key}.unit", lambda target: _write(target, unit_key))
        return result

    def complaint(self, asked: MetalTexts) -> str:
        """What Metal's compiler has against a text, judged once for all flavours of a build."""
        if (known := self._read(self._judged_name(asked.text))) is not None:
            return known.removesuffix(_END)
        plain = self.toolchain.plain
        if asked.siblings and metal_check.is_quickly_accepted(plain, asked.together, self.language):
            for text in (asked.text, *asked.siblings):
                self._keep_complaint(text, "")
            return ""
        said = metal_check.complaint(plain, asked.text, self.language)
        return self._keep_complaint(asked.text, said or "")

    def _keep_complaint(self, text: str, said: str) -> str:
        whole = f"{said}{_END}"  # also where nothing is said, for no file of a cache is empty
        self.toolchain.cache.put(self._judged_name(text), lambda target: _write(target, whole))
        return said

    def _judged_name(self, text: str) -> str:
        plain = self.toolchain.plain
        return f"{_digest(plain.id, plain.dialect, text)}.metal"

    def _compile(self, key: str, text: Text, unit: Unit) -> LoadedKernel | BuildFailure:
        def write(target: Path) -> None:
            self.toolchain.compile(unit.text, text.math_mode, target)
            if fault := objects.fault_of(target):
                place = _place_of(fault.variable, {"header": text.header, "source": text.source})
                raise CompilerFailed(f"{place}: error: {fault.reason}\n")

        try:
            return self._keep(key, self.load(self.toolchain.cache.put(f"{key}.so", write)))
        except CompilerFailed as failure:
            log = self._words(failure, text, unit.parts)
        except OSError as error:
            raise EnvironmentUnusable(
                f"a compiled kernel cannot be loaded from "
                f"'{self.toolchain.cache.directory}': {error}.",
                "Set FOUNDRY_CACHE_DIR to a folder on a disk that programs may run from.",
            ) from error
        return self._failed(key, f"error: {unit.unsupported}" if unit.unsupported else log)

    @staticmethod
    def _words(failure: CompilerFailed, text: Text, parts: dict[str, list[Token]]) -> str:
        texts = {"header": text.header, "source": text.source}
        return diagnostics.scrub(failure.log, texts, parts or {"header": [], "source": []})

    def _failed(self, key: str, log: str) -> BuildFailure:
        self.toolchain.cache.put(f"{key}.log", lambda target: _write(target, log))
        return BuildFailure(log)

    def _runtime(self) -> ctypes.CDLL:
        if self._loaded_runtime is None:
            self._loaded_runtime = load_runtime(self.toolchain.runtime())
        return self._loaded_runtime


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _place_of(variable: str | None, texts: dict[str, str]) -> str:
    """Part, line and column where a variable is named first; the start of the body if nowhere."""
    for part, text in texts.items():
        if variable and (found := re.search(rf"\b{re.escape(variable)}\b", text)):
            start = text.rfind("\n", 0, found.start()) + 1
            line = text.count("\n", 0, start) + 1
            return f"{part}:{line}:{found.start() - start + 1}"
    return "source:1:1"


def _write(target: Path, text: str) -> None:
    target.write_text(text)


def default_builder(dialect: str = MLX) -> Builder:
    """A builder with this installation's toolchain and cache folder."""
    return Builder(find_toolchain(cache.default_directory()).in_dialect(dialect))
