"""`foundry export-sft`: verified kernels as chats to train on."""

from __future__ import annotations

from pathlib import Path

import click

from foundry.cli import options

_USES = ("free", "unknown", "restricted")


def _families() -> tuple[str, ...]:
    from ops import registry

    return tuple(sorted({op.family for op in registry.all_ops().values()}))


_FAMILIES = options.Names("family", _families)


@click.command("export-sft")
@options.output_option("runs/sft")
@click.option("--faster", is_flag=True, help="Only kernels that were faster than the baseline.")
@click.option(
    "--training-use",
    "uses",
    type=options.Names("training use", lambda: _USES),
    help="Only kernels that may be used so: free, unknown, restricted, comma-separated; restricted "
    "ones descend from a model whose provider forbids it.  [default: all]",
)
@click.option(
    "--valid", type=_FAMILIES, help="Op families to validate on.  [default: chosen by seed]"
)
@click.option("--test", type=_FAMILIES, help="Op families to test on.  [default: chosen by seed]")
@options.selection_options
@options.user_code_options
@options.db_option
@options.seed_option
@options.json_option
@options.debug_option
def command(
    output: Path,
    faster: bool,
    uses: tuple[str, ...] | None,
    valid: tuple[str, ...] | None,
    test: tuple[str, ...] | None,
    ops: tuple[str, ...] | None,
    device_id: str | None,
    db: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Write verified kernels as chats that mlx-lm and TRL read.

    The folder gets train.jsonl, valid.jsonl and test.jsonl, split by op family after removing
    duplicates, with provenance beside them. No prompt holds a measured speedup, and no kernel that
    any evaluation disproves is exported.
    """
    from foundry.cli.export import show_exported
    from foundry.cli.selecting import chosen
    from foundry.datasets import export_sft
    from foundry.datasets.teachers import Use
    from foundry.judge.verdict import Status
    from foundry.store import Store

    with Store.open(db, read_only=True) as store:
        exported = export_sft(
            chosen(store, ops, device_id),
            store.origins(),
            output,
            statuses=(Status.FASTER,) if faster else (Status.CORRECT, Status.FASTER),
            uses=tuple(Use(use) for use in uses) if uses else tuple(Use),
            valid=valid or (),
            test=test or (),
            seed=seed,
        )
    show_exported(exported, as_json)
