"""Test the files of the page: its languages, what it loads, what it contains."""

from __future__ import annotations

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from styletransfer.serve.jobs import sentence

PAGE = Path(__file__).parents[1] / "styletransfer" / "serve" / "page"
LANGUAGES = {path.stem: path for path in sorted((PAGE / "locales").glob("*.json"))}
SCRIPTS = sorted(PAGE.glob("*.js"))
ATTRIBUTES = {
    "data-t-label": "aria-label",
    "data-t-placeholder": "placeholder",
    "data-t-title": "title",
}
FIELD = re.compile(r"\{(\w+)\}")


class Marked(HTMLParser):
    """Collects the elements of index.html: their attributes, and their direct text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[int, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        place = len(self.elements) - 1
        self.texts.setdefault(place, " ".join(data.split()))


@pytest.fixture(scope="module")
def marked() -> Marked:
    found = Marked()
    found.feed((PAGE / "index.html").read_text(encoding="utf-8"))
    return found


def words(language: str) -> dict[str, str]:
    """Return a language's texts by key."""
    found: dict[str, str] = json.loads(LANGUAGES[language].read_text(encoding="utf-8"))
    return found


def test_the_languages_say_the_same() -> None:
    assert list(LANGUAGES) == ["de", "en"]
    english, german = words("en"), words("de")
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert german[key].strip(), key
        assert set(FIELD.findall(text)) == set(FIELD.findall(german[key])), key


def test_the_page_says_what_english_says(marked: Marked) -> None:
    """index.html shows English before any script runs; it must not differ from en.json."""
    english, count = words("en"), 0
    for place, (tag, attributes) in enumerate(marked.elements):
        if "data-t" in attributes:
            assert marked.texts[place] == english[attributes["data-t"]], tag
            count += 1
        for mark, name in ATTRIBUTES.items():
            if mark in attributes:
                assert attributes[name] == english[attributes[mark]], tag
                count += 1
    assert count > 80


def test_every_text_that_scripts_ask_for_exists() -> None:
    english = words("en")
    asked = {
        key
        for path in SCRIPTS
        for key in re.findall(r'\bt\(\s*"([^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert len(asked) > 60
    assert asked <= english.keys()


def test_no_text_is_left_over() -> None:
    """Every key is in the page or a script, or begins like one that a script completes."""
    source = "".join(path.read_text(encoding="utf-8") for path in (*SCRIPTS, PAGE / "index.html"))
    completed = {found + "." for found in re.findall(r"t\([^)]*?`(\w+)\.\$\{", source)}
    assert {"era.", "file.", "assess.", "key.", "style.", "mode."} <= completed
    for key in words("en"):
        base = key.removesuffix(".one")
        assert f'"{base}"' in source or any(base.startswith(one) for one in completed), key


def test_nothing_is_inline_and_nothing_is_foreign(marked: Marked) -> None:
    """A strict policy forbids inline scripts and styles; everything
    the page loads is next to it.
    """
    loaded = []
    for tag, attributes in marked.elements:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "script":
            assert "src" in attributes
        if tag in ("script", "link"):
            loaded.append(attributes.get("src") or attributes["href"])
    assert all((PAGE / name).is_file() for name in loaded)
    for path in (*SCRIPTS, PAGE / "style.css", PAGE / "index.html"):
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name


def test_every_field_has_a_name(marked: Marked) -> None:
    """Each input is labelled: by a label's `for`, within a label, or by `aria-label`."""
    labelled = {
        attributes["for"]
        for tag, attributes in marked.elements
        if tag == "label" and "for" in attributes
    }
    fields = [
        attributes
        for tag, attributes in marked.elements
        if tag in ("input", "select", "textarea", "progress")
    ]
    assert len(fields) > 20
    for attributes in fields:
        named = attributes["id"] in labelled or "aria-label" in attributes
        assert named or attributes["id"] == "file", attributes  # within its label


def test_what_is_brought_along_is_small_and_named() -> None:
    folder = PAGE / "vendor"
    scripts = sorted(folder.glob("*.js"))
    assert [path.name for path in scripts] == ["spessasynth_core.js"]
    assert sum(path.stat().st_size for path in scripts) < 1_000_000
    notice = (folder / "NOTICE").read_text(encoding="utf-8")
    version = re.search(r"spessasynth_core ([0-9.]+)", notice)
    assert version
    assert scripts[0].read_text(encoding="utf-8").startswith(f"/*! spessasynth_core {version[1]}, ")
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")


SENTENCES = {path.stem: path for path in sorted((PAGE / "sentences").glob("*.json"))}


def written(folder: Path) -> list[str]:
    """Return every text of the package's modules as the page gets it.

    What is filled in is a NUL.
    """
    found = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(sentence(node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    part.value if isinstance(part, ast.Constant) else "\0" for part in node.values
                ]
                found.append(sentence("".join(map(str, parts))))
    return found


def test_the_pages_sentences_match_the_servers() -> None:
    """Otherwise a sentence that was changed in the server would be shown in English again."""
    there = "\n".join(written(PAGE.parents[1]))
    for language, path in SENTENCES.items():
        for template, text in json.loads(path.read_text(encoding="utf-8")).items():
            assert set(FIELD.findall(text)) <= set(FIELD.findall(template)), template
            for piece in re.split(r"\{\w+\}|[:;,(]", sentence(template)):
                assert len(piece) < 12 or piece.strip(" .'") in there, (language, template)
    assert list(SENTENCES) == list(LANGUAGES)


def test_every_sentence_of_english_is_one_of_german() -> None:
    english, german = (
        json.loads(SENTENCES[name].read_text(encoding="utf-8")) for name in ("en", "de")
    )
    assert len(german) > 60
    assert english.keys() <= german.keys()
