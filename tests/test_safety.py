"""What the code must not do: run what a file holds, call a shell, or open a connection unasked.

The rules are read from the syntax trees, so that code which no test runs is covered, too. Each
exception has its reason beside it, and one that is no longer needed fails.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("styletransfer", "pretrain", "finetune", "eval", "benchmarks", ".ci")
FILES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))

UNPICKLERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
"""Modules whose files run code when they are read."""
NETWORK = {
    *("aiohttp", "dask", "distributed", "ftplib", "http", "httpx", "huggingface_hub", "imaplib"),
    *("poplib", "requests", "smtplib", "socket", "socketserver", "ssl", "telnetlib", "urllib"),
    *("urllib3", "uvicorn", "webbrowser", "websockets", "xmlrpc"),
}
HARMLESS = {"urllib.parse", "http.HTTPStatus"}
"""Parts of those modules that open no connection."""
SHELLS = {
    *("commands.getoutput", "os.popen", "os.system", "subprocess.getoutput"),
    *("asyncio.create_subprocess_shell", "subprocess.getstatusoutput"),
}
RUNNERS = {"eval", "exec", "compile", "__import__"}
"""Built-in functions that run text as code, or import what a text names."""

EXCEPTIONS = {
    # Read at no one's request but the measurer's: what the same benchmark wrote into a folder that
    # its user named. It is no part of the package.
    ("benchmarks/audio.py", "pickle"),
    # `data download maestro`: one fixed address, and a checksum.
    ("styletransfer/data/download.py", "http.client"),
    ("styletransfer/data/download.py", "urllib.error"),
    ("styletransfer/data/download.py", "urllib.request"),
    # `--style owner/name`: a style of the Hugging Face Hub, read as safetensors and JSON.
    ("styletransfer/styles/find.py", "huggingface_hub"),
    ("styletransfer/styles/find.py", "huggingface_hub.errors"),
    # `--cluster tcp://…`: Dask's workers at an address that the user gives. Dask pickles what it
    # sends, so whoever can reach its scheduler can run code on it.
    ("styletransfer/engines.py", "distributed"),
    # `serve`: it listens, on this computer alone unless --host says otherwise.
    ("styletransfer/serve/app.py", "socket"),
    ("styletransfer/serve/app.py", "uvicorn"),
    ("styletransfer/serve/app.py", "webbrowser"),
    # The benchmark of `serve` talks to the page that it started itself.
    ("benchmarks/serve.py", "http.client"),
}
"""Files, and the modules that they may import against the rules."""


def dotted(node: ast.expr) -> str:
    """Return the dotted name of an expression such as ``os.system``, or an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def names_of(tree: ast.Module) -> dict[str, str]:
    """Return what a file's imported names stand for: ``from os import system as s`` is ``s``."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def imported(tree: ast.Module) -> set[str]:
    """Return the modules that a file imports and that the rules are about."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            if not whole <= HARMLESS:
                found.add(node.module)
    watched = UNPICKLERS | NETWORK
    return {name for name in found - HARMLESS if name.split(".")[0] in watched}


def given(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument of a call, or None if it has none."""
    return next((word.value for word in call.keywords if word.arg == name), None)


def is_constant(value: ast.expr | None, wanted: object) -> bool:
    """Return whether an expression is written as a constant, and as this one."""
    return isinstance(value, ast.Constant) and value.value is wanted


def fault(call: ast.Call, name: str) -> str | None:
    """Return what is wrong with a call of this name, or None."""
    last = name.rsplit(".", 1)[-1]
    if name in RUNNERS or name in {f"builtins.{runner}" for runner in RUNNERS}:
        return f"{name} runs text as code"
    shell = given(call, "shell")
    if name in SHELLS or (shell is not None and not is_constant(shell, False)):
        return f"{name} calls a shell"
    if name == "torch.load" and not is_constant(given(call, "weights_only"), True):
        return "torch.load without weights_only=True"

    if name.startswith("yaml.") and last in {"load", "load_all"}:
        loader = given(call, "Loader") or (call.args[1] if len(call.args) > 1 else None)
        if loader is None or not dotted(loader).endswith("SafeLoader"):
            return f"{name} without a safe loader"
    if name.startswith("yaml.") and last.startswith(("unsafe_load", "full_load")):
        return f"{name} makes objects that the file names"
    pickled = given(call, "allow_pickle")
    if pickled is not None and not is_constant(pickled, False):
        return f"{name} reads pickles"
    if is_constant(given(call, "trust_remote_code"), True):
        return f"{name} runs a repository's code"
    return None


def faults(tree: ast.Module) -> list[str]:
    """Return what a file calls against the rules, with the lines."""
    names = names_of(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, *rest = dotted(node.func).split(".")
            wrong = fault(node, ".".join([names.get(first, first), *rest]))
            found += [f"line {node.lineno}: {wrong}"] if wrong else []
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_nothing_runs_what_it_reads(path: Path) -> None:
    assert faults(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_pickles_and_connections_are_the_argued_ones() -> None:
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in FILES
        for name in imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == EXCEPTIONS


@pytest.mark.parametrize(
    "line",
    [
        "eval('1')",
        "exec(text)",
        "import builtins; builtins.eval(text)",
        "__import__(name)",
        "import os; os.system('ls')",
        "from os import system as run; run('ls')",
        "import subprocess; subprocess.run('ls', shell=True)",
        "import subprocess; subprocess.run('ls', shell=wanted)",
        "import torch; torch.load(path)",
        "import torch as t; t.load(path, weights_only=False)",
        "import yaml; yaml.load(text)",
        "import yaml; yaml.load(text, Loader=yaml.UnsafeLoader)",
        "from yaml import unsafe_load; unsafe_load(text)",
        "import numpy as np; np.load(path, allow_pickle=True)",
        "from transformers import AutoModel; AutoModel.from_pretrained(x, trust_remote_code=True)",
    ],
)
def test_what_is_forbidden_is_found(line: str) -> None:
    assert len(faults(ast.parse(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "model.eval()",
        "import re; re.compile('a')",
        "import subprocess; subprocess.run(['ls'])",
        "import torch; torch.load(path, weights_only=True)",
        "import yaml; yaml.safe_load(text); yaml.load(text, yaml.SafeLoader)",
        "import numpy as np; np.load(path); np.load(path, allow_pickle=False)",
    ],
)
def test_what_is_allowed_is_not_found(line: str) -> None:
    assert faults(ast.parse(line)) == []


def test_what_is_imported_is_found() -> None:
    lines = "from urllib.parse import urlsplit\nimport pickle as p\nfrom urllib import request\n"
    assert imported(ast.parse(lines)) == {"pickle", "urllib"}


GUARD = """
import sys

def watch(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind"}:
        # asyncio and multiprocessing talk through sockets that have a path, or none
        if not (event != "socket.getaddrinfo" and isinstance(arguments[1], (str, bytes))):
            raise SystemExit(f"{event} {arguments}")

sys.addaudithook(watch)
from styletransfer.cli.app import main
sys.argv = ["styletransfer", *sys.argv[1:]]
main()
"""
"""Runs the command line, and ends it where it opens or looks for a connection."""


@pytest.mark.slow
def test_apply_opens_no_connection(tmp_path: Path) -> None:
    arguments = ["apply", "happy-birthday", "--style", "bach"]
    done = subprocess.run(
        [sys.executable, "-c", GUARD, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "happy-birthday-bach.mid").exists()


def test_the_guard_finds_a_connection() -> None:
    script = GUARD.split("from styletransfer")[0] + (
        "import socket; socket.create_connection(('127.0.0.1', 9))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "socket." in done.stderr
    assert done.returncode == 1
