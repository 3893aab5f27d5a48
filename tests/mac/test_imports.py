"""Every module of the house is imported as on a Mac: what Linux alone has is gone."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, mmap, os, pkgutil, platform, resource, select, signal, socket, sys, time
absent = {
    os: ("sched_getaffinity", "sched_setaffinity", "memfd_create", "pidfd_open", "unshare",
         "setns", "eventfd", "splice", "posix_fadvise", "copy_file_range"),
    time: ("pthread_getcpuclockid",),
    signal: ("pidfd_send_signal", "SIGRTMIN", "SIGRTMAX", "SIGPWR"),
    mmap: ("MAP_NORESERVE", "MAP_POPULATE"),
    select: ("epoll",),
    socket: ("SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK", "AF_NETLINK"),
    resource: ("prlimit", "RLIMIT_NICE"),
}
import asyncio, subprocess, urllib.request, numpy, mlx.core, sqlalchemy, pydantic, click
import rich  # all these are not ours
for module, names in absent.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.platform = "darwin"
platform.system = lambda: "Darwin"
platform.machine = lambda: "arm64"
count = 0
for package in ("ops", "templates", "foundry", "discover"):
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, package + "."):
        # Scripts; and what derives from the classes of a package that is not installed here.
        if not module.name.endswith(("__main__", "migrations.env", "reward.environment")):
            importlib.import_module(module.name)
            count += 1
print(count)
"""


def test_every_module_imports_on_a_mac() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 250
