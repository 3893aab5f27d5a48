"""Models as mlx-lm loads them: patched as they load, also by its server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pattern_package import at_work, written

pytest.importorskip("mlx_lm")

from saved_model import saved

from foundry.catalog.runtime.patching import loads
from foundry.errors import EnvironmentUnusable
from foundry.models.loading import load
from foundry.training.lengths import tokenizer_of


def test_a_model_is_patched_as_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlx_lm.utils as utils

    monkeypatch.setattr(utils, "load_model", utils.load_model)
    monkeypatch.setenv("LOADS_CACHE_DIR", str(tmp_path))
    folder = saved(tmp_path / "model")
    said: list[str] = []
    with at_work(written(tmp_path, "loads", ops=("rms_norm", "rope")), "loads") as package:
        package.patch_loads("fast", told=said.append)
        package.patch_loads(told=said.append)
        loaded = load(str(folder))
        assert said == ["llama, stable: norms x5, rope x2\nglu: no swiglu in this package\n"
                        "softmax: no softmax in this package"]  # fmt: skip
        assert package.unpatch(loaded.model) == 7
    assert len(loaded.prompts) == 3


def test_a_module_that_took_the_loader_by_name_loads_with_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx_lm.utils as utils

    plain = utils.load_model
    server = ModuleType("a_server")
    server.load_one, server.other = plain, len  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_server", server)
    monkeypatch.setenv("LOADS_CACHE_DIR", str(tmp_path))
    folder = saved(tmp_path / "model")
    said: list[str] = []
    with at_work(written(tmp_path, "loads", ops=("rms_norm",)), "loads") as package:
        try:
            for _ in range(2):
                package.patch_loads(told=said.append)
            server.load_one(folder)
            assert len(said) == 1
            assert server.other is len
        finally:
            package.patching.loads._put(plain, utils.load_model)
    assert utils.load_model is server.load_one is plain


def test_run_without_mlx_lm_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlx_lm", None)
    monkeypatch.setattr(loads.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        loads.run("mlx_lm.server", [])
    assert ended.value.code == 3
    assert "pip install mlx-lm" in capsys.readouterr().err


def test_a_load_that_fails_without_a_word_is_told_by_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlx_lm.utils as utils

    def silent(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(utils, "load", silent)
    monkeypatch.setattr(utils, "load_tokenizer", silent)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EnvironmentUnusable, match="cannot load .*: KeyError"):
        load(str(tmp_path))
    with pytest.raises(EnvironmentUnusable, match="tokenizer of .*: KeyError"):
        tokenizer_of("x")


@pytest.mark.slow
def test_the_server_of_mlx_lm_answers_with_kernels_as_without(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    site = written(tmp_path, "loads", ops=("rms_norm", "rope", "swiglu"))
    plain = answered(tmp_path, [sys.executable, "-m", "mlx_lm", "server"], folder)
    stand_in = (
        "import sys\nfrom foundry.msl.stand_in.metal import metal\n"
        "with metal():\n    from loads.main import main\n    import loads\n"
        "    sys.exit(main(loads.FUNCTIONS, loads.info))"
    )
    command = [sys.executable, "-c", stand_in, "run", "mlx_lm.server"]
    kernels = answered(site, command, folder, LOADS_DISPATCH="all")
    assert plain["choices"][0]["message"] == kernels["choices"][0]["message"]
    assert plain["usage"]["completion_tokens"] == 12


def answered(site: Path, command: list[str], model: Path, **variables: str) -> Any:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"LOADS_CACHE_DIR": str(site), "HF_HUB_OFFLINE": "1"} | variables
    server = subprocess.Popen(
        [*command, "--model", str(model), "--port", str(port)],
        cwd=site,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 12, "temperature": 0}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        for _ in range(120):
            assert server.poll() is None, server.stderr and server.stderr.read()
            try:
                with urllib.request.urlopen(request, timeout=120) as reply:
                    return json.loads(reply.read())
            except (ConnectionError, urllib.error.URLError):
                time.sleep(0.5)
        raise AssertionError("the server does not answer")
    finally:
        server.terminate()
        server.wait(20)
        if server.stderr:
            server.stderr.close()
