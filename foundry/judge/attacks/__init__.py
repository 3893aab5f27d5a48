"""Attacks as data: one file each, with the statuses that are right for it.

`cheats` are kernels that do an easier job, `hostile` ones reach for the machine, `mutants` are
templates with one planted bug, `controls` are honest. A file is TOML between `+++` lines, then the
text as an attacker would hand it in.
"""
