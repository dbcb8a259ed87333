"""Samples of styles: four bars of a tune.

They are arranged when they are first requested, and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from styletransfer.folders import weights_folder
from styletransfer.serve.trust import safe_name

if TYPE_CHECKING:
    from styletransfer.styles.card import Style

TUNE = "X:1\nT:Ode to Joy\nM:4/4\nL:1/4\nQ:1/4=104\nK:D\nFFGA|AGFE|DDEF|E>DD2|]\n"
"""The last four bars of the theme of Beethoven's Ninth (1824)."""
SECONDS = 600.0
"""Seconds in which a sample must be made."""


def sample_path(style: Style, model: Path | None) -> Path:
    """Return where a style's sample is kept: another place for other weights."""
    facts = [TUNE, _program(), *_facts(model or weights_folder() / "base"), *_facts(style.path)]
    mark = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return _cache() / f"{safe_name(style.name)}-{mark}.mid"


def _program() -> str:
    try:
        return version("styletransfer-music")
    except PackageNotFoundError:
        return ""


def _facts(folder: Path | None) -> Iterator[list[str | int]]:
    """Yield the names, sizes and times of a folder's files."""
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        status = path.stat()
        yield [path.name, status.st_size, status.st_mtime_ns]


def _cache() -> Path:
    from platformdirs import user_cache_dir

    named = os.environ.get("STYLETRANSFER_HOME")
    base = Path(named) / "cache" if named else user_cache_dir("styletransfer", appauthor=False)
    return Path(os.path.abspath(base)) / "samples"
