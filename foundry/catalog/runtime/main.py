"""`python -m NAME info|verify|tune|run`: where ops go, what is right, what wins, a server."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .device import CACHE_VARIABLE, cache_file, chip
from .dispatch import CatalogFunction, forget, here
from .patching.loads import run
from .patching.pattern import MODES
from .tuning.from_model import of_model
from .tuning.sizes import TimedSizes, of_file
from .tuning.timing import TimingRules
from .tuning.tune import TunedKernel, TuneRequest, asked_for, tune
from .verify import checks, summary

Functions = Mapping[str, CatalogFunction]


def main(
    functions: Functions,
    info: Callable[[], list[dict[str, Any]]],
    arguments: Sequence[str] | None = None,
) -> int:
    """Exit code 0: done; 1: something is wrong; 2: it cannot be understood; 3: no Metal."""
    given = _parser().parse_args(arguments)
    if given.command == "run":
        run(given.module, given.arguments, given.mode)
        return 0
    try:
        return _answered(functions, info, given)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was learnt is kept, and tune goes on there without --anew",
              file=sys.stderr)  # fmt: skip
        return 130
    except BrokenPipeError:
        # The reader of a pipe left (`info | head -1`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _answered(
    functions: Functions, info: Callable[[], list[dict[str, Any]]], given: argparse.Namespace
) -> int:
    if given.command == "info":
        done = _print_info(info(), given.json)
    elif given.command == "verify":
        done = _verify(functions, given.json)
    else:
        done = _tune(functions, given)
    sys.stdout.flush()  # here a reader that left is heard of
    return done


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, told in (
        ("info", "which path each op takes here, and why"),
        ("verify", "hold every path that runs here to the formulas of the ops"),
        ("tune", "verify and time the kernels here, and learn where each one wins"),
    ):
        command = commands.add_parser(name, help=told, description=told)
        command.add_argument("--json", action="store_true", help="print JSON")
        if name == "tune":
            _add_tuning(command)
    _add_run(commands.add_parser("run", help="run a module, its models patched as they load"))
    return parser


def _add_tuning(command: argparse.ArgumentParser) -> None:
    source = command.add_mutually_exclusive_group()
    source.add_argument("--model", type=Path, metavar="DIR", help="sizes of this model")
    source.add_argument("--shapes", type=Path, metavar="FILE", help="sizes in this file")
    command.add_argument("--ops", default="", help="only these ops, comma-separated")
    command.add_argument("--dtypes", default="", help="only these dtypes, comma-separated")
    command.add_argument("--minutes", type=float, default=20.0, help="begin no size after it")
    command.add_argument("--anew", action="store_true", help="verify and time again what is known")


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--mode", choices=MODES, default="stable", help="as in patch")
    command.add_argument("module", help="such as mlx_lm.server")
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="what the module takes")


def _tune(functions: Functions, given: argparse.Namespace) -> int:
    if chip() is None:
        print("Metal is not available here: there is nothing to time", file=sys.stderr)
        return 3
    request, done = _request(functions, given), []
    for kernel in tune(functions, request):
        done.append(kernel)
        for line in _told(kernel):
            print(f"{kernel.op} {kernel.dtype} {kernel.hash[:12]}: {line}", file=sys.stderr)
    is_kept = here().keep()
    forget()
    if given.json:
        print(json.dumps([asdict(kernel) for kernel in done], indent=2))
    else:
        off = sum(bool(kernel.off) for kernel in done)
        where = f"kept in {cache_file()}" if is_kept else "not kept"
        print(f"{len(done)} kernels, {off} off; {where}")
    waiting = len(asked_for(functions, request)) - len(done)
    sizes = sum(kernel.left for kernel in done)
    if waiting or sizes:
        print(f"time was up after --minutes {given.minutes:g}: {waiting} kernels and {sizes} sizes "
              "of others are left; run it again, without --anew", file=sys.stderr)  # fmt: skip
    if not is_kept:
        print(f"error: {cache_file()} cannot be written, so what was learnt is lost; let "
              f"{CACHE_VARIABLE} name a folder that can", file=sys.stderr)  # fmt: skip
    return 0 if is_kept else 1


def _told(kernel: TunedKernel) -> list[str]:
    """What came of a kernel, in lines."""
    against = ", ".join(f"{name} at {count}" for name, count in kernel.against.items())
    wins = f"wins at {kernel.wins} of {kernel.points}" + (against and f" (against {against})")
    left = f"; {kernel.left} sizes are left" if kernel.left else ""
    return [_line(f"off: {kernel.off}") if kernel.off else wins + left, *kernel.untimed]


def _line(text: str) -> str:
    """A text in one line: what compilers say has several."""
    return " ".join(text.split())


def _request(functions: Functions, given: argparse.Namespace) -> TuneRequest:
    ops = {name: function.op for name, function in functions.items()}
    wanted, dtypes = _words(given.ops), _words(given.dtypes)
    held = dict.fromkeys(dtype for op in ops.values() for dtype in op["dtypes"])
    for noun, names, known in (("op", wanted, ops), ("dtype", dtypes, held)):
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"no {noun} {unknown[0]} in this package; it has {', '.join(known)}")
    if not given.minutes >= 0:
        raise ValueError(f"minutes is {given.minutes}; give 0 or more")
    bases = _bases(given, ops)
    if bases is not None and (without := [name for name in wanted if name not in bases]):
        raise ValueError(f"{given.model or given.shapes} has no sizes of {without[0]}; it has "
                         f"those of {', '.join(bases)}")  # fmt: skip
    request = TuneRequest(
        bases=bases,
        ops=wanted,
        dtypes=dtypes,
        anew=given.anew,
        rules=TimingRules(),
        until_s=time.perf_counter() + 60 * given.minutes,
    )
    if not asked_for(functions, request):
        has = {k["dtype"] for op in ops.values() for k in op["kernels"]}
        raise ValueError(f"no kernel of {', '.join(wanted or bases or ['this package'])} is in "
                         f"{', '.join(dtypes) or 'it'}; the package has kernels in "
                         f"{', '.join(sorted(has)) or 'no dtype'}")  # fmt: skip
    return request


def _bases(given: argparse.Namespace, ops: Mapping[str, Any]) -> dict[str, list[TimedSizes]] | None:
    """Sizes by op that are asked for, None where nothing is said of them."""
    if given.model:
        found = of_model(given.model, ops)
    elif given.shapes:
        found = of_file(given.shapes, ops)
    else:
        return None
    if not found:
        raise ValueError(f"{given.model or given.shapes} calls no op of this package; it has "
                         f"{', '.join(ops)}")  # fmt: skip
    return found


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)


def _print_info(rows: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['op']:<14} {row['dtype']:<9} {row['path']:<9} {_line(row['why'])}")
    return 0


def _verify(functions: Functions, as_json: bool) -> int:
    done = []
    for check in checks(functions):
        done.append(check)
        mark = "ok" if check.passed else f"FAILED {_line(check.detail)}"
        sizes = ",".join(f"{k}={v}" for k, v in check.axes.items())
        print(f"{check.op}[{sizes}] {check.dtype} {check.path}: {mark}", file=sys.stderr)
    report = summary(done, functions)
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print(f"{report['checks']} checks, {len(report['failed'])} failed; ", end="")
        print(f"{report['kernels_tested']} of {report['kernels']} kernels ran here")
        print("\n".join(f"not tested: {line}" for line in report["not_tested"]))
    return 1 if report["failed"] else 0
