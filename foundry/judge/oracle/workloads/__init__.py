"""Workloads that a kernel meets beside the lists of its op: unseen sizes, far ones, parameters."""
