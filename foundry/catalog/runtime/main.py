"""`python -m NAME info|verify [--json]`: which path each op takes, and whether it is right."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from .dispatch import CatalogFunction
from .verify import checks, summary


def main(functions: Mapping[str, CatalogFunction], info: Callable[[], list[dict[str, Any]]]) -> int:
    """Exit code 0: everything that can run here is right; 1: something is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("command", choices=("info", "verify"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if arguments.command == "info":
        return _print_info(info(), arguments.json)
    return _verify(functions, arguments.json)


def _print_info(rows: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['op']:<14} {row['dtype']:<9} {row['path']:<9} {row['why']}")
    return 0


def _verify(functions: Mapping[str, CatalogFunction], as_json: bool) -> int:
    done = []
    for check in checks(functions):
        done.append(check)
        mark = "ok" if check.passed else f"FAILED {check.detail}"
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
