"""Make folders of styles for tests, in a place without others.

They hold adapters as far as :mod:`styletransfer.styles` looks into them.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from styletransfer import folders
from styletransfer.errors import InputError
from styletransfer.styles import find as styles
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS, Card

GOOD = Card(
    "nocturnes",
    "user",
    "romantic",
    "reserved-3",
    "base",
    "tokens",
    12,
    34.5,
    6789,
    3,
    12.5,
    11.25,
    "CC0-1.0",
)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, with the base's styles only, and no network.

    The Hub's cache is empty.
    """
    from huggingface_hub import constants

    def refuse(*arguments: Any, **options: Any) -> None:
        pytest.fail("the network was asked for")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(
        constants, "HF_HUB_OFFLINE", True
    )  # the environment was read when the module was imported
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(folders, "shipped", lambda: tmp_path / "shipped")
    monkeypatch.setenv("STYLETRANSFER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    styles._from_hub.cache_clear()
    return folder


def adapter(folder: Path, card: Card | bytes = GOOD, readme: str | None = None) -> Path:
    """Write a style's folder, as far as this module looks into it."""
    folder.mkdir(parents=True)
    (folder / CARD).write_bytes(card if isinstance(card, bytes) else card.to_json().encode())
    (folder / WEIGHTS).write_bytes(b"")
    (folder / CONFIG).write_text("{}")
    if readme is not None:
        (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


def in_hub(tmp_path: Path, repository: str, card: Card | bytes = GOOD) -> Path:
    """Write an adapter into the Hub's cache, as the Hub's client lays it out."""
    cached = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(COMMIT)
    return adapter(cached / "snapshots" / COMMIT, card)


def sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    """Return the message, after checking that it is one line and a sentence."""
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text
