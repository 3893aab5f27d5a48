"""Chips are data: what is published is there with its source, what is not is unknown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from foundry.chips import registry
from foundry.chips.chip import Chip, Figure, Registers
from foundry.chips.read import read
from foundry.errors import UsageError

ALL = list(registry.all_chips("").values())
LEAST = 'name = "Apple X"\ngeneration = 7\n'


@pytest.mark.parametrize("chip", ALL, ids=lambda chip: chip.key)
def test_figures_of_a_chip_fit_together(chip: Chip) -> None:
    assert chip.name.lower().replace(" ", "-") == f"apple-{chip.key}"
    assert chip.key.startswith(f"m{chip.generation}")
    if chip.cores and chip.clock_mhz and chip.fp32_tflops:
        # 128 lanes a core, a multiply-add each cycle.
        peak = chip.cores.value * 128 * 2 * chip.clock_mhz.value / 1e6
        assert chip.fp32_tflops.value == pytest.approx(peak, rel=0.01)
    if chip.dram_gb_s and chip.dram_measured_gb_s:
        assert chip.dram_measured_gb_s.value < chip.dram_gb_s.value


def test_18_chips_are_known_and_what_is_missing_is_said() -> None:
    assert len(ALL) == 18
    (old,) = (chip for chip in ALL if chip.key == "m1-max")
    (new,) = (chip for chip in ALL if chip.key == "m5-max")
    assert "dispatch_us" in old.unknown
    assert "threads_by_half_registers" not in old.unknown
    assert {"clock_mhz", "fp32_tflops", "l2_kib"} <= set(new.unknown)


@pytest.mark.parametrize(
    ("registers", "threads"), [(1, 1024), (104, 1024), (105, 896), (257, None)]
)
def test_registers_bound_the_threads_that_are_resident(registers: int, threads: int | None) -> None:
    table = registry.get("m1").threads_by_half_registers
    assert isinstance(table, Registers)
    assert table.resident(registers) == threads


@pytest.mark.parametrize("name", ["m4-max", "Apple M4 Max", "M4 MAX"])
def test_a_chip_has_a_key_and_a_name(name: str) -> None:
    assert registry.get(name).key == "m4-max"


def test_an_unknown_chip_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown chip 'm4-maxx': did you mean m4-max"):
        registry.get("m4-maxx")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "cannot read the chip file"),
        ("generation = 7\n", "give name ="),
        (LEAST + "[core]\nvalue = 8\nsource = 'x'\n", "unknown key 'core': did you mean cores"),
        (LEAST + "cores = 8\n", "cores is 8; give it a value and a source"),
        (LEAST + "[cores]\nvalue = 8\n", "give it a value and a source"),
        (LEAST + "[cores]\nvalue = 0\nsource = 'x'\n", "value is 0; give a number above 0"),
        (LEAST + "[cores]\nvalue = 'many'\nsource = 'x'\n", "value is 'many'; give a number"),
        (LEAST + "[cores]\nvalue = 8\nsource = ' '\n", "say who published or measured it"),
        (LEAST + "[threads_by_half_registers]\nvalue = 8\nsource = 'x'\n", "give { 104 = 1024 }"),
        (LEAST + "notes = 'one'\n", "notes is 'one'; give a list"),
    ],
)
def test_a_chip_file_says_what_is_wrong_with_it(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        read(tmp_path / "x.toml")
    assert said in str(error.value)
    assert "x.toml" in str(error.value)


def test_a_chip_of_ones_own_joins_and_replaces(tmp_path: Path) -> None:
    for key in ("x9", "m1"):
        (tmp_path / f"{key}.toml").write_text(LEAST + "[cores]\nvalue = 9\nsource = 'me'\n")
    chips = registry.all_chips(f"{tmp_path / 'x9.toml'}{os.pathsep}{tmp_path}")
    assert len(chips) == 19
    assert chips["x9"].cores == chips["m1"].cores == Figure(9.0, "me")
    with pytest.raises(UsageError, match="no chip file or folder /no/such"):
        registry.all_chips("/no/such")


def listed(*args: str) -> str:
    command = [sys.executable, "-m", "foundry", "list", "chips", *args]
    environment = {**os.environ, registry.FILES_VARIABLE: ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_list_shows_unknown_figures_as_unknown() -> None:
    (row,) = (line.split() for line in listed().splitlines() if line.startswith("m5-max"))
    assert row == ["m5-max", "40", "-", "-", "-", "-", "-", "-"]
    assert all(chip[n] is None for chip in json.loads(listed("--json")) for n in chip["unknown"])
