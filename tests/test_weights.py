"""Comparing sets of weights: the row kept for each arrangement, and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eval import weights

TUNE = "X:1\nT:Even\nM:4/4\nL:1/4\nQ:1/4=240\nK:C\nC D E F | G A G F | E D E F | G2 C2 |]\n"
PAGE = "# Results\n\n<!-- begin weights -->\nold\n<!-- end weights -->\n"


def rows(path: Path, base: str, probability: dict[str, float], extra: float) -> Path:
    """Write arrangements of melodies in Bach's style; other measures are ``extra``."""
    told = dict.fromkeys(weights.TOLD, extra)
    lines: list[dict[str, Any]] = [
        {"base": base, "melody": melody, "style": "bach"} | told | {"probability": value}
        for melody, value in probability.items()
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_what_all_have_arranged_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.md", tmp_path / "weights.json"
    page.write_text(PAGE)
    before = rows(tmp_path / "before.jsonl", "old", {"a": 0.2, "b": 0.4, "alone": 1.0}, 0.0)
    after = rows(tmp_path / "after.jsonl", "new", {"a": 0.5, "b": 0.6}, 2.0)
    third = rows(tmp_path / "third.jsonl", "newest", {"b": 0.3, "a": 0.2}, -1.0)
    assert (
        weights.main(
            ["compare", *map(str, (before, after, third)), "--write", str(out), "--page", str(page)]
        )
        == 0
    )

    report = json.loads(out.read_text())
    assert (report["arrangements"], report["melodies"]) == (2, 2)
    assert report["bases"] == {"before": "old", "after": "new", "third": "newest"}

    found = report["measures"]["probability"]
    assert [one["mean"] for one in found.values()] == pytest.approx([0.3, 0.55, 0.25])
    assert "difference" not in found["before"]
    assert found["after"]["difference"] == pytest.approx([0.25, 0.2, 0.3])
    assert found["third"]["difference"] == pytest.approx([-0.05, -0.1, 0.0])
    assert (
        "| copies | 0.000 | 2.000, +2.000 (+2.000 to +2.000) | -1.000, -1.000 (-1.000 to -1.000) |"
        in page.read_text()
    )
    assert "old" not in page.read_text()
    assert "2 arrangements of 2 melodies; differences from *before*" in capsys.readouterr().out

    for files in ([before], [before, before]):
        with pytest.raises(SystemExit, match="2"):
            weights.main(["compare", *map(str, files)])


def test_existing_rows_are_not_arranged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "melodies").mkdir()
    for name in ("one", "two"):
        (tmp_path / "melodies" / f"{name}.abc").write_text(TUNE)
    monkeypatch.setattr(weights, "MELODIES", tmp_path / "melodies")
    monkeypatch.setattr(weights, "COMPOSERS", ("bach",))
    out = tmp_path / "runs" / "shipped.jsonl"
    assert weights.main(["make", str(out), "--melodies", "1"]) == 0
    (first,) = weights.rows_of(out)
    assert weights.TOLD.keys() <= first.keys()
    assert (first["melody"], first["style"]) == ("one", "bach")
    assert 0 < first["probability"] < 1
    assert first["notes"] > 0
    assert weights.main(["make", str(out)]) == 0
    again, second = weights.rows_of(out)
    assert again == first
    assert second["melody"] == "two"
    out.write_text(json.dumps(first | {"base": "another"}) + "\n")
    assert weights.main(["make", str(out)]) == 2
