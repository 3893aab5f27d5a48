"""Attention over images and videos: neighbourhoods and tiles of a canvas, in three orders.

A place is a number; where it lies on the canvas follows from the order in which places are stored:
line by line, tile by tile, or along the curve of Morton.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ops.declaring.masking import Mask
from ops.families.attention.masked import masked_attention
from ops.families.attention.pairs import CANVAS_KEYS, canvas, frames, near_of
from ops.spec import Op
from ops.workload import Case

MORTON_BITS = 8
"""Bits of a line and of a column: canvases of up to 256 by 256 places."""


def _near(q: str, k: str, last: str, reach: str = "reach") -> str:
    """Metal: `k` within reach of `q`, which is moved inwards at the edges first."""
    return f"abs(max(min({q}, {last} - {reach}), {reach}) - {k}) <= {reach}"


def _is_near(q: Any, k: Any, last: Any, reach: int) -> Any:
    return np.abs(np.maximum(np.minimum(q, last - reach), reach) - k) <= reach


def _tiled(place: Any, tiles: int, tile: int) -> tuple[Any, Any]:
    which, inside = np.divmod(place, tile * tile)
    line, column = np.divmod(which, tiles)
    return line * tile + inside // tile, column * tile + inside % tile


def _tiled_mask(q: Any, k: Any, kv_len: int, tiles: int, tile: int, reach: int) -> Any:
    (line, column), (of_line, of_column) = _tiled(q, tiles, tile), _tiled(k, tiles, tile)
    last = ((kv_len - 1) // (tiles * tile * tile) + 1) * tile - 1
    return _is_near(line, of_line, last, reach) & _is_near(
        column, of_column, tiles * tile - 1, reach
    )


def _tiled_line(place: str) -> str:
    return f"({place} / (tile * tile) / tiles * tile + {place} % (tile * tile) / tile)"


def _tiled_column(place: str) -> str:
    return f"({place} / (tile * tile) % tiles * tile + {place} % tile)"


attention_neighbourhood_tiled = masked_attention(
    "attention_neighbourhood_tiled",
    Mask(
        np=_tiled_mask,
        metal=_near(
            _tiled_line("q"),
            _tiled_line("k"),
            "((kv_len - 1) / (tiles * tile * tile) * tile + tile - 1)",
        )
        + " && "
        + _near(_tiled_column("q"), _tiled_column("k"), "(tiles * tile - 1)"),
        params={"tiles": (4, 1, 3, 2), "tile": (4, 2, 1, 3), "reach": (2, 1, 3)},
        pairs=canvas(
            ("reach", "tiles * tile"),
            ("reach", "ceildiv(kv_len, tiles * tile * tile) * tile"),
            begun="tile * min(1, kv_len % (tiles * tile * tile))",
        ),
        keys=CANVAS_KEYS,
        formula="keys on a canvas that is stored tile by tile, each of `tile` lines and columns, "
        "`tiles` of them beside each other: those within `reach` lines and columns of the query's "
        "own place, which is moved inwards at the edges first, as in `attention_neighbourhood_2d`",
    ),
)


def _untwined(place: Any, first_bit: int) -> Any:
    found = np.zeros_like(place)
    for bit in range(MORTON_BITS):
        found = found | (((place >> (2 * bit + first_bit)) & 1) << bit)
    return found


def _morton_mask(q: Any, k: Any, side: int, reach: int) -> Any:
    return _is_near(_untwined(q, 0), _untwined(k, 0), side - 1, reach) & _is_near(
        _untwined(q, 1), _untwined(k, 1), side - 1, reach
    )


def _every_other_bit(place: str, first_bit: int) -> str:
    bits = (
        f"{place} / {1 << (2 * bit + first_bit)} % 2 * {1 << bit}" for bit in range(MORTON_BITS)
    )
    return f"({' + '.join(bits)})"


_GAPLESS = f"(1 - min(1, {1 << MORTON_BITS} % side))"
"""1 where the side is a power of two, so that the curve leaves the canvas at its end alone."""
_WHOLE = f"max({_GAPLESS} * min(1, kv_len // (side * side)), min(1, kv_len // (4 * side * side)))"
"""1 where every place of the canvas has a key, else 0."""
_HALF = f"{_GAPLESS} * (1 - min(1, max(side * side - 2 * kv_len, 2 * kv_len - side * side)))"
"""1 where the upper half of the lines has keys and no other, else 0."""
_NEAR_PLACES = canvas(("reach", "side"), ("reach", "side"), begun="0")
_IN_UPPER_HALF = canvas(("reach", "side"), ("reach", "(side // 2)"), begun="reach")


def _on_whole_canvases(op: Op) -> Op:
    """The op timed on the smallest canvases whose sides are powers of two and hold all keys."""

    def timed(case: Case) -> Case:
        bits = (case.axes["kv_len"] - 1).bit_length()
        return replace(case, params={**case.params, "side": 1 << -(-bits // 2)})

    return replace(op, bench=tuple(map(timed, op.bench)))


attention_neighbourhood_morton = _on_whole_canvases(
    masked_attention(
        "attention_neighbourhood_morton",
        Mask(
            np=_morton_mask,
            metal=" && ".join(
                _near(_every_other_bit("q", bit), _every_other_bit("k", bit), "(side - 1)")
                for bit in (0, 1)
            ),
            params={"side": (16, 4, 8, 2), "reach": (2, 1, 3)},
            # Of other canvases no more is sure than that a query sees its own place.
            pairs=f"max({_WHOLE} * {_NEAR_PLACES}, {_HALF} * {_IN_UPPER_HALF}, {_GAPLESS} * q_len)",
            keys=f"{_WHOLE} * {_NEAR_PLACES} // max(1, q_len)",
            formula="keys on a square canvas of `side` lines and columns in the order of Morton: "
            "the even bits of a place are its column, the odd ones its line "
            f"({MORTON_BITS} of each). Those within `reach` of the query's own place, which is "
            "moved inwards at the edges first, as in `attention_neighbourhood_2d`",
        ),
    )
)


def _tiles_2d(q: Any, k: Any, kv_len: int, tiles: int, tile: int, reach: int) -> Any:
    (line, column), (of_line, of_column) = (np.divmod(x // tile, tiles) for x in (q, k))
    last = (kv_len - 1) // tile // tiles
    return _is_near(line, of_line, last, reach) & _is_near(column, of_column, tiles - 1, reach)


attention_sliding_tiles_2d = masked_attention(
    "attention_sliding_tiles_2d",
    Mask(
        np=_tiles_2d,
        metal=_near("q / tile / tiles", "k / tile / tiles", "(kv_len - 1) / tile / tiles")
        + " && "
        + _near("q / tile % tiles", "k / tile % tiles", "(tiles - 1)"),
        params={"tiles": (4, 2, 3, 5), "tile": (16, 3, 1, 64, 7), "reach": (1, 0, 2)},
        pairs=canvas(
            ("reach", "tiles"),
            ("reach", "ceildiv(kv_len, tile * tiles)"),
            places="tile",
            begun="min(1, kv_len % (tile * tiles))",
        ),
        keys=CANVAS_KEYS,
        formula="tiles of `tile` places on a canvas, `tiles` of them beside each other: the keys "
        "of all tiles within `reach` tiles of the query's own one in both directions, which is "
        "moved inwards at the edges first, so that whole blocks are seen or not (STA)",
    ),
)


def _tiles_3d(
    q: Any, k: Any, kv_len: int, tiles: int, lines: int, tile: int, reach: int, frames: int
) -> Any:
    q_tile, k_tile = q // tile, k // tile
    of_frame = tiles * lines
    last = (kv_len - 1) // tile // of_frame
    return (
        _is_near(q_tile // of_frame, k_tile // of_frame, last, frames)
        & _is_near(q_tile % of_frame // tiles, k_tile % of_frame // tiles, lines - 1, reach)
        & _is_near(q_tile % tiles, k_tile % tiles, tiles - 1, reach)
    )


attention_sliding_tiles_3d = masked_attention(
    "attention_sliding_tiles_3d",
    Mask(
        np=_tiles_3d,
        metal=" && ".join(
            (
                _near(
                    "q / tile / (tiles * lines)",
                    "k / tile / (tiles * lines)",
                    "(kv_len - 1) / tile / (tiles * lines)",
                    "frames",
                ),
                _near("q / tile / tiles % lines", "k / tile / tiles % lines", "(lines - 1)"),
                _near("q / tile % tiles", "k / tile % tiles", "(tiles - 1)"),
            )
        ),
        params={
            "tiles": (3, 2, 4),
            "lines": (2, 3, 1),
            "tile": (8, 3, 1, 32, 5),
            "reach": (1, 0, 2),
            "frames": (1, 0, 2),
        },
        pairs=canvas(
            ("reach", "tiles"),
            ("reach", "lines"),
            ("frames", "ceildiv(kv_len, tile * tiles * lines)"),
            places="tile",
            begun="min(1, kv_len % (tile * tiles * lines))",
        ),
        keys=CANVAS_KEYS,
        formula="as `attention_sliding_tiles_2d` in a video whose frames have `lines` lines of "
        "`tiles` tiles: keys of all tiles within `reach` lines and columns of tiles and `frames` "
        "frames of tiles of the query's own one",
    ),
)
attention_video_spatial = masked_attention(
    "attention_video_spatial",
    Mask(
        np=lambda q, k, words, frame, reach: (
            (k < words)
            | (q < words)
            | (np.abs((q - words) // frame - (k - words) // frame) <= reach)
        ),
        metal="k < words || q < words || "
        "abs(max(q - words, 0) / frame - max(k - words, 0) / frame) <= reach",
        params={"words": (8, 0, 3, 33), "frame": (32, 5, 1, 64, 9), "reach": (0, 1, 2)},
        pairs=frames(
            "words",
            "frame",
            f"frame * frame * {near_of('FULL', 'reach')} + REST * REST + "
            "2 * REST * frame * min(reach, FULL)",
            of_last=("LAST", "(LAST + min(reach, BEFORE) * frame)"),
        ),
        formula="`words` places of text, then frames of `frame` places: the keys of the text, and "
        "those of frames up to `reach` away; text sees everything (a spatial head of SVG)",
    ),
)
attention_video_temporal = masked_attention(
    "attention_video_temporal",
    Mask(
        np=lambda q, k, words, frame, reach: (
            (k < words) | (q < words) | (np.abs((q - words) % frame - (k - words) % frame) <= reach)
        ),
        metal="k < words || q < words || "
        "abs(max(q - words, 0) % frame - max(k - words, 0) % frame) <= reach",
        params={"words": (8, 0, 3, 33), "frame": (32, 5, 1, 64, 9), "reach": (0, 1, 2)},
        pairs=frames(
            "words",
            "frame",
            f"FULL * FULL * {near_of('frame', 'reach')} + (2 * FULL + 1) * "
            f"{near_of('REST', 'reach')}",
            of_last=("SHOWN", "(FULL * min(frame, reach + 1))"),
        ),
        formula="`words` places of text, then frames of `frame` places: the keys of the text, and "
        "in every frame those up to `reach` places from the query's own place in its frame; text "
        "sees everything (a temporal head of SVG)",
    ),
)
