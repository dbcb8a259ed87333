"""Test styles from the Hub, by its client's cache and its errors alone.

No test asks the network.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub.errors import RepositoryNotFoundError

from styletransfer.errors import InputError
from styletransfer.folders import COPIES, IDIOM
from styletransfer.styles.blend import parse_style
from styletransfer.styles.card import CARD, CONFIG, WEIGHTS
from styletransfer.styles.find import find_style
from tests.style_folders import GOOD, adapter, empty_place, in_hub, sentence

NO_ANSWER: Any = SimpleNamespace(headers={}, request=None)
NOT_THERE = RepositoryNotFoundError("404 Client Error.\n\nRepository Not Found", response=NO_ANSWER)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return empty_place(tmp_path, monkeypatch)


def test_a_hub_id_is_found_in_the_cache(tmp_path: Path) -> None:
    folder = in_hub(tmp_path, "some-one/My.Nocturnes")
    style = find_style("some-one/My.Nocturnes")
    assert (style.name, style.kind, style.path, style.card) == (
        "My.Nocturnes",
        "user",
        folder,
        GOOD,
    )
    assert [weight for _, weight in parse_style("bach:1,some-one/My.Nocturnes:3")] == [0.25, 0.75]


def test_a_hub_id_that_is_not_cached_is_one_sentence_and_soon(tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError) as error:
        find_style("nobody/nothing")
    assert sentence(error).startswith(
        "nobody/nothing: there is no such style here, and the Hub gave none ("
    )
    assert "outgoing traffic has been disabled" in str(error.value)
    assert time.monotonic() - begin < 5


def test_a_repository_that_is_no_style(tmp_path: Path) -> None:
    in_hub(tmp_path, "some/broken", b"{}")
    (in_hub(tmp_path, "some/model") / CARD).unlink()
    with pytest.raises(
        InputError, match=r"models--some--broken.*style\.json: the card can't be read"
    ):
        find_style("some/broken")
    with pytest.raises(InputError, match=r"models--some--model.*not a style's folder"):
        find_style("some/model")


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (ValueError("Unknown scheme for proxy URL.\nmore"), "(Unknown scheme for proxy URL)"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RuntimeError(), "(RuntimeError)"),
        (
            NOT_THERE,
            "there is no such style here, and the Hub has no such repository, or it asks for a "
            "login.",
        ),
    ],
)
def test_whatever_the_client_raises_is_one_sentence(
    problem: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> str:
        raise problem

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(InputError) as error:
        find_style("some/one")
    assert words in sentence(error)


def test_the_hub_is_asked_once_and_only_for_ids(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = adapter(tmp_path / "fetched/x"), []

    def fetch(name: str, *, allow_patterns: list[str]) -> str:
        assert {CARD, WEIGHTS, CONFIG, COPIES, IDIOM, "README.md"} <= set(allow_patterns)
        asked.append(name)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    adapter(here / "local/mine")
    (here / "local/empty").mkdir()
    assert find_style("local/mine").path == here / "local/mine"
    for name in ("local/empty", "bahc", "../x/y", "a/b/c", "a/b c", ".a/b", "a/..", "/a/b"):
        with pytest.raises(InputError):
            find_style(name)
    assert asked == []
    for _ in range(2):
        assert (find_style("other/mine").name, find_style("other/mine").path) == ("mine", folder)
    assert asked == ["other/mine"]
