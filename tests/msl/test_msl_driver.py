"""The compiler proper is called as the driver would call it, and the driver is asked once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from foundry.msl.build.cache import BuildCache
from foundry.msl.build.driver import Driver
from foundry.msl.build.toolchain import Toolchain, find_toolchain

_CODE = 'extern "C" int f(int n) { return n * n; }\n'


@pytest.fixture
def toolchain(tmp_path: Path) -> Toolchain:
    return find_toolchain(tmp_path)


def test_the_same_object_comes_out(toolchain: Toolchain, tmp_path: Path) -> None:
    made, by_driver = tmp_path / "direct.o", tmp_path / "driver.o"
    options = ["-x", "c++", "-O2", "-c", "-", "-o"]
    toolchain.run(["clang", *options, str(made)], _CODE)
    toolchain._run(["clang", *options, str(by_driver)], _CODE)
    assert made.read_bytes() == by_driver.read_bytes()


def test_the_driver_is_asked_once_for_all_files_and_processes(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def ask(arguments: Sequence[str]) -> str:
        asked.append(arguments)
        return ' "/zig" "-cc1" "-o" "mf-file-3.o" "-x" "c++" "-"\n'

    def direct(name: str) -> list[str]:
        driver = Driver("here", ask, BuildCache(tmp_path))
        return driver.direct(["clang", "-", "-o", f"/made/{name}.o"])

    assert direct("a") == ["clang", "-cc1", "-o", "/made/a.o", "-x", "c++", "-"]
    assert direct("b")[3] == "/made/b.o"
    assert len(asked) == 1
    Driver("elsewhere", ask, BuildCache(tmp_path)).direct(["clang", "-", "-o", "/made/a.o"])
    assert len(asked) == 2


@pytest.mark.parametrize("said", ["", "error: no such option\n", ' "/zig" "-cc1"\n "/ld" "a.o"\n'])
def test_what_is_not_one_compilation_is_left_to_the_driver(said: str, tmp_path: Path) -> None:
    arguments = ["clang", "-shared", "/made/a.o", "-o", "/made/a.so"]
    assert Driver("here", lambda _: said, BuildCache(tmp_path)).direct(arguments) == arguments
