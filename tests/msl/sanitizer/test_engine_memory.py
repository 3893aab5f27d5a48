"""What a kernel's text reaches of the runtime's own memory is told from what is the user's."""

from __future__ import annotations

import pytest

from foundry.msl.sanitizer.checks.engine_memory import EngineMemory

HEAD = "define void @mf_run_thread(ptr noundef %0, ptr noundef %1) #0 {"
FIBRE = """
  %3 = tail call ptr @llvm.stackaddress.p0(), !dbg !62
  %4 = ptrtoint ptr %3 to i64, !dbg !62
  %5 = and i64 %4, -131072
  %6 = or disjoint i64 %5, 128000
  %7 = inttoptr i64 %6 to ptr
  %8 = getelementptr inbounds nuw i8, ptr %7, i64 8, !dbg !62
  %9 = load ptr, ptr %8, align 8, !dbg !62
  %10 = getelementptr inbounds nuw [512 x i8], ptr %9, i64 %20
  %11 = getelementptr inbounds nuw i8, ptr %7, i64 184
  %12 = load ptr, ptr %11, align 8
  %13 = getelementptr inbounds nuw i8, ptr %12, i64 4
  %14 = getelementptr inbounds nuw i8, ptr %0, i64 20, !dbg !23
  %15 = load ptr, ptr %0, align 8
  %16 = load ptr, ptr %15, align 8
  %17 = getelementptr inbounds nuw float, ptr %16, i64 %4
  %18 = add i64 %4, %30
  %19 = inttoptr i64 %18 to ptr
"""


@pytest.mark.parametrize("register", ["%7", "%8", "%9", "%10", "%11", "%0", "%14"])
def test_fibres_groups_and_the_launch_are_the_runtimes(register: str) -> None:
    assert read().holds(register)


@pytest.mark.parametrize("register", ["%12", "%13", "%15", "%16", "%17", "%19", "%20"])
def test_buffers_and_threadgroup_memory_are_the_users(register: str) -> None:
    assert not read().holds(register)


def test_pointers_of_other_functions_are_the_users() -> None:
    assert not EngineMemory(HEAD.replace("mf_run_thread", "helper")).holds("%0")


def read() -> EngineMemory:
    memory = EngineMemory(HEAD)
    for line in FIBRE.split("\n"):
        memory.note(line)
    return memory
