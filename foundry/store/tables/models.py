"""The tables, in SQLAlchemy Core: outside, `Evaluation` and the `records` are the objects.

`runs` made `evaluations` of `kernels` on `devices`; each evaluation owns its `diagnostics`,
`output_errors`, `timings` and `predictions`. `llm_calls` and `nodes` belong to a run.

The tables here are what the newest migration leaves behind; a test holds the two together.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware times outside, naive UTC inside: SQLite keeps no zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Python to database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; give an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Database to Python."""
        return None if value is None else value.replace(tzinfo=UTC)


class RealColumn(TypeDecorator[float]):
    """A float that is always there; SQLite turns NaN into NULL, and this turns it back."""

    impl = Float(53)
    cache_ok = True

    def process_result_value(self, value: float | None, dialect: Dialect) -> float:
        """Database to Python."""
        return math.nan if value is None else value


class Words(TypeDecorator[str]):
    """Text from outside (compilers, models): what no database takes is escaped, not refused.

    That is half a surrogate pair, and the NUL character, which PostgreSQL refuses.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Python to database."""
        if value is None:
            return None
        return value.replace("\0", r"\x00").encode("utf-8", "backslashreplace").decode()


NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)


def _required(name: str, kind: Any, *constraints: ForeignKey) -> Column[Any]:
    return Column(name, kind, *constraints, nullable=False)


def _added(name: str, kind: Any, before: str) -> Column[Any]:
    """A column that older rows lack, and what it says of them."""
    return Column(name, kind, nullable=False, server_default=before)


def _part_of(parent: str) -> Column[Any]:
    key = ForeignKey(f"{parent}.id", ondelete="CASCADE")
    return Column(f"{parent[:-1]}_id", Integer, key, primary_key=True, autoincrement=False)


def _position() -> Column[Any]:
    return Column("position", Integer, primary_key=True, autoincrement=False)


devices = Table(
    "devices",
    metadata,
    Column("id", Text, primary_key=True),
    _required("kind", Text),
    _required("name", Text),
    _required("fingerprint", JSON),
    _required("created_at", UtcDateTime),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("kind", Text),
    _required("command", Words),
    _required("settings", JSON),
    _required("settings_key", Text),
    _required("seed", BigInteger),
    _required("device_id", Text, ForeignKey("devices.id")),
    _required("environment", JSON),
    _required("judge_version", Integer),
    _required("started_at", UtcDateTime),
    _required("resumed", Integer),
    Column("finished_at", UtcDateTime),
    Column("outcome", Text),
    Index(None, "kind", "settings_key"),
)

kernels = Table(
    "kernels",
    metadata,
    Column("hash", Text, primary_key=True),
    _required("op", Text),
    _required("text", Words),
    _required("created_at", UtcDateTime),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("run_id", Integer, ForeignKey("runs.id")),
    _required("kernel_hash", Text, ForeignKey("kernels.hash")),
    _required("op", Text),
    _required("dtype", Text),
    _required("device_id", Text, ForeignKey("devices.id")),
    _required("status", Text),
    Column("score", Float(53)),
    _required("stage_ms", JSON),
    _required("judge_version", Integer),
    _required("seed", BigInteger),
    _required("extra", JSON),
    Column("proven", JSON),
    _required("origin_kind", Text),
    _required("origin_name", Text),
    _required("origin_detail", JSON),
    Column("parent_hash", Text),
    _required("created_at", UtcDateTime),
    Index(None, "kernel_hash", "device_id", "dtype"),
    Index(None, "op", "device_id", "dtype", "score"),
    Index(None, "run_id"),
)

diagnostics = Table(
    "diagnostics",
    metadata,
    _part_of("evaluations"),
    _position(),
    _required("stage", Text),
    _required("message", Words),
    Column("workload", Text),
    _required("hidden", Boolean),
    Column("line", Integer),
)

output_errors = Table(
    "output_errors",
    metadata,
    _part_of("evaluations"),
    _position(),
    _required("workload", Text),
    _required("output", Text),
    Column("max_abs_error", RealColumn),
    Column("bound_ratio", RealColumn),
)

timings = Table(
    "timings",
    metadata,
    _part_of("evaluations"),
    _position(),
    _required("workload", Text),
    _required("label", Text),
    _required("baseline", Text),
    Column("baseline_us", RealColumn),
    Column("kernel_us", RealColumn),
    Column("speedup", RealColumn),
    Column("speedup_low", RealColumn),
    Column("speedup_high", RealColumn),
    _required("samples_baseline_us", JSON),
    _required("samples_kernel_us", JSON),
    _required("bytes_moved", BigInteger),
    _required("flops", BigInteger),
    Column("floor_us", Float(53)),
    _added("baseline_dispatch_us", Float(53), "0"),
    _added("kernel_dispatch_us", Float(53), "0"),
    _added("fixed_us", Float(53), "0"),
    _added("method", Integer, "1"),
)

predictions = Table(
    "predictions",
    metadata,
    _part_of("evaluations"),
    _position(),
    _required("workload", Text),
    _required("chip", Text),
    Column("predicted_us", Float(53)),
    Column("low_us", Float(53)),
    Column("high_us", Float(53)),
    Column("bound", Text),
    _required("document", JSON),
)

llm_calls = Table(
    "llm_calls",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("run_id", Integer, ForeignKey("runs.id")),
    _required("proposer", Text),
    _required("model", Text),
    _required("request_hash", Text),
    _required("request", JSON),
    _required("state", Text),
    Column("most_tokens", BigInteger),
    Column("most_usd", Float(53)),
    Column("response", JSON(none_as_null=True)),
    Column("error", Words),
    Column("provider_request_id", Text),
    _required("input_tokens", BigInteger),
    _required("output_tokens", BigInteger),
    _required("cache_read_tokens", BigInteger),
    _required("cache_write_tokens", BigInteger),
    _required("reasoning_tokens", BigInteger),
    _required("tokens_estimated", Boolean),
    Column("cost_usd", Float(53)),
    _required("sent_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Index(None, "run_id", "request_hash"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("parent", Integer),
    Column("kernel_hash", Text),
    Column("reward", Float(53)),
    _required("visits", Integer),
    _required("proposer", Text),
    _required("state", Text),
    _required("detail", JSON),
    _required("created_at", UtcDateTime),
    _required("updated_at", UtcDateTime),
)

lessons = Table(
    "lessons",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("run_id", Integer, ForeignKey("runs.id")),
    _required("op", Text),
    _required("family", Text),
    _required("device_id", Text, ForeignKey("devices.id")),
    _required("text", Words),
    _required("gain", Float(53)),
    _required("slower_hash", Text),
    _required("faster_hash", Text),
    _required("shown", Integer),
    _required("paid", Integer),
    _required("created_at", UtcDateTime),
    Index(None, "device_id", "family"),
)

validations = Table(
    "validations",
    metadata,
    Column("id", Integer, primary_key=True),
    _required("model", Words),
    _required("weights_hash", Text),
    _required("mode", Text),
    _required("catalog_hash", Text),
    _required("device_id", Text, ForeignKey("devices.id")),
    _required("document", JSON),
    _required("environment", JSON),
    _required("created_at", UtcDateTime),
    Index(None, "model", "catalog_hash"),
)
