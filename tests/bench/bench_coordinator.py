"""What the coordinator itself takes for a candidate: `bench_coordinator.py [--nodes N]`.

To choose a parent, open a node, say all that a proposer may know, and take a verdict in; in
milliseconds of processor time, medians of 500, without a database.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "discover"))

from test_numbers import Bookkeeping

SHOWN = (100, 1_000, 5_000, 10_000, 20_000)


def main() -> None:
    """Print a line for each size of the tree."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=SHOWN[-1])
    nodes = parser.parse_args().nodes
    search = Bookkeeping()
    for number in range(1, nodes + 1):
        search.candidate()
        if number in SHOWN or number == nodes:
            first = max(0, number - 500)
            print(f"{number:>7,} nodes: {search.milliseconds(first, number):.2f} ms a candidate")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
