"""Compiler messages land on the lines of the kernel file."""

from __future__ import annotations

from foundry.kernel import build_log, parse

FILE = """/*kernel
op = "softmax"
inputs = ["x"]
outputs = ["peak"]
grid = [1, 1, 1]
threadgroup = [1, 1, 1]
[temporaries.peak]
shape = ["rows"]
dtype = "float32"
*/
float one() { return 1; }
// --- body ---
peak[0] = one();
/*kernel
inputs = ["x", "peak"]
outputs = ["out"]
grid = [1, 1, 1]
threadgroup = [1, 1, 1]
*/
// --- body ---
uint i = 0;
out[i] = nope;
"""
LOG = """source:2:10: error: use of undeclared identifier 'nope'
    2 | out[i] = nope;
      |          ^
header:1:7: note: 'one' declared here
    1 | float one() { return 1; }
      |       ^
error: the compiler gave up"""


def test_places_and_shown_lines_are_those_of_the_file() -> None:
    placed = build_log.in_file(LOG, parse(FILE), 1, "k.metal")
    lines = FILE.split("\n")
    row = lines.index("out[i] = nope;") + 1
    first = lines.index("float one() { return 1; }") + 1
    assert placed.split("\n") == [
        f"k.metal:{row}:10: error: use of undeclared identifier 'nope'",
        f"{row:5} | out[i] = nope;",
        "      |          ^",
        f"k.metal:{first}:7: note: 'one' declared here",
        f"{first:5} | float one() {{ return 1; }}",
        "      |       ^",
        "error: the compiler gave up",
    ]
    assert build_log.first_line(placed, "k.metal") == row


def test_a_log_without_places_stays_as_it_is() -> None:
    log = "error: 'mystery()' is not defined"
    assert build_log.in_file(log, parse(FILE), 0, "k.metal") == log
    assert build_log.first_line(log, "k.metal") is None
