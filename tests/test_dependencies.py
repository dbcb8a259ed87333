"""The dependencies as they are declared: the lock, the image and the lowest versions agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = str(PROJECT["name"])
DECLARED = [
    Requirement(line)
    for lines in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in lines
    if not line.startswith(NAME)
]
LOCK = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def locked() -> dict[str, str]:
    """Return the versions in the lock file, by name."""
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", LOCK, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("wanted", DECLARED, ids=str)
def test_the_lock_has_a_version_that_is_admitted(wanted: Requirement) -> None:
    version = locked()[canonicalize_name(wanted.name)]
    assert wanted.specifier.contains(version, prereleases=True), version


def test_the_lock_names_hashes_and_no_address() -> None:
    pins = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==.*", LOCK, re.MULTILINE)
    assert all(pin.endswith("\\") for pin in pins)  # its hashes follow
    assert not re.search(r"://|^ *--(?!hash)", LOCK, re.MULTILINE)


@pytest.mark.parametrize("line", PROJECT["dependencies"])
def test_the_package_says_the_lowest_version(line: str) -> None:
    assert any(one.operator == ">=" for one in Requirement(line).specifier)


def test_the_image_has_the_same_torch() -> None:
    torch = next(line for line in PROJECT["dependencies"] if line.startswith("torch"))
    assert f'ARG TORCH="{torch}"' in (ROOT / "Dockerfile").read_text(encoding="utf-8")
