"""Test rooms and the imports between them.

Each room may use only some others; there are no cycles, and no heavy imports where they aren't
needed.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "styletransfer"
GROUND = ("errors", "configuration", "files", "folders", "terminal", "engines")
"""Modules that every room may use, and that use no room."""
ROOMS = {
    "music": (),
    "formats": ("music",),
    "engraving": ("music", "formats"),
    "tokens": ("music",),
    "data": ("music", "formats", "tokens"),
    "evaluation": ("music", "formats", "tokens", "data"),
    "styles": ("music", "formats", "tokens", "data", "evaluation"),
    "model": ("music", "tokens", "styles"),
    "training": ("music", "formats", "tokens", "data", "styles", "model"),
    "transfer": ("music", "formats", "tokens", "data", "styles", "model"),
    "outputs": ("music", "formats", "engraving", "transfer"),
}
"""Each room, from the ground up, and the rooms that it may use beside itself."""
DOORS = ("api", "trial", "cli", "serve", "__init__", "__main__")
"""What may use every room, and is used by none, except that the command line opens the others."""
RECIPES = ("pretrain", "finetune", "eval", "benchmarks")
LIGHT = ("music", "formats", "engraving", "tokens")
HEAVY = {"torch", "transformers", "peft", "accelerate"}
FOLDERS = ("styletransfer", *RECIPES, "tests")
FILES = sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))


def module_of(path: Path) -> str:
    """Return the dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def imports(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return found


def room_of(module: str) -> str:
    """Return a module's room in the package, or its own name if it is in none."""
    return [*module.split("."), "__init__"][1]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_arrows(path: Path) -> None:
    module, names = module_of(path), imports(path)
    folder = module.split(".")[0]
    packages = {name.split(".")[0] for name in names}
    if folder == "tests":
        return
    assert "tests" not in packages
    assert folder == "benchmarks" or "benchmarks" not in packages
    if folder in RECIPES:
        return

    assert not packages & set(RECIPES), "the package uses a recipe"
    room = room_of(module)
    used = {room_of(name) for name in names if name.split(".")[0] == "styletransfer"}
    if room in DOORS:
        assert room in ("serve", "cli") or "serve" not in used, "only the command line serves"
        return
    allowed = {"__init__", *GROUND} if room in GROUND else {"__init__", *GROUND, room, *ROOMS[room]}
    assert used <= allowed
    if room in LIGHT:
        assert not packages & HEAVY


def test_every_module_has_its_place() -> None:
    places = {room_of(name) for name in MODULES if name.split(".")[0] == "styletransfer"}
    assert places == {*GROUND, *ROOMS, *DOORS}


def test_rooms_stand_on_those_before_them() -> None:
    order = list(ROOMS)
    assert all(
        order.index(used) < order.index(room) for room, below in ROOMS.items() for used in below
    )


def test_no_circles() -> None:
    """No files import each other in a circle, wherever the imports stand."""
    graph = {
        name: imports(path) & MODULES.keys() - {name, "styletransfer"}
        for name, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_every_room_has_a_nameplate() -> None:
    rooms = {*ROOMS, "cli", "serve"}
    for folder in {path.parent for path in FILES if room_of(module_of(path)) in rooms}:
        if folder.is_relative_to(PACKAGE):
            plate = ast.get_docstring(
                ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
            )
            assert plate is not None, folder


def test_threads_sleep_while_they_wait() -> None:
    """Next to one other busy process, an arrangement that takes 8 seconds took 109.

    A policy that is set explicitly is respected.
    """
    for asked, expected in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        environment = {
            name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"
        }
        environment |= {"OMP_WAIT_POLICY": asked} if asked else {}
        code = "import styletransfer, os; print(os.environ['OMP_WAIT_POLICY'])"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        assert done.stdout.strip() == expected
