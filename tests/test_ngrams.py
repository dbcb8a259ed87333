"""Test n-gram baselines, intervals and generated tables.

Probabilities add up; there are a hand-computed case, and the recipe.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pretrain import baselines, evaluate, report
from styletransfer.errors import InputError
from styletransfer.evaluation.intervals import ratio_interval
from styletransfer.evaluation.markdown import fill
from styletransfer.training.ngrams import BITS, Counts, KneserNey, packed

CARD = Path(__file__).parents[1] / "eval" / "measured" / "base" / "README.md"
README = "".join(
    f"<!-- begin {name} --><!-- end {name} -->\n"
    for name in ("likelihood", "composers", "memorised", "run")
)


def model(ids: list[int], order: int, vocabulary: int) -> KneserNey:
    counts = Counts(order)
    tokens = np.array(ids)
    counts.add(packed(tokens, np.arange(len(ids)) >= order - 1, order))
    return KneserNey(counts, vocabulary)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_add_up_to_one(order: int) -> None:
    """They do so in contexts that occurred, and in others."""
    rng = np.random.default_rng(order)
    trained = model(rng.integers(0, 9, 600).tolist(), order, 12)
    for _ in range(20):
        context = 0
        for token in rng.integers(0, 12, order - 1).tolist():
            context = context << BITS | token
        keys = np.array([context << BITS | token for token in range(12)], np.int64)
        assert (2.0 ** -trained.bits(keys)).sum() == pytest.approx(1, abs=1e-5)


def test_unigrams_by_hand() -> None:
    """Tokens 0 (once), 1 (twice), 2 (three times), 3 (four times): Chen and Goodman's discounts,
    written out.

    Y = 1 / (1 + 2 * 1) = 1/3; D1 = 1 - 2Y = 1/3, D2 = 2 - 3Y = 1, D3 = 3 - 4Y = 5/3; they free 14/3
    of 10 counts.
    """
    trained = model([0, 1, 1, 2, 2, 2, 3, 3, 3, 3], 1, 5)
    freed = (1 / 3 + 1 + 5 / 3 + 5 / 3) / 10
    expected = np.array([1 - 1 / 3, 2 - 1, 3 - 5 / 3, 4 - 5 / 3, 0]) / 10 + freed / 5
    assert 2.0 ** -trained.bits(np.arange(5)) == pytest.approx(expected, abs=1e-6)


def test_lower_orders_count_neighbours() -> None:
    """Kneser and Ney's point: 9 is frequent, but only after 8, so that after an unknown token it is
    less likely than 1.
    """
    trained = model([1, 2, 1, 3, 1, 4, 1, 5] + [8, 9] * 20, 2, 20)
    unseen = 15 << BITS
    assert trained.bits(np.array([unseen | 1]))[0] < trained.bits(np.array([unseen | 9]))[0]


def test_counts_in_portions_are_counts_at_once() -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 50, 1000)
    whole, portions = Counts(2), Counts(2)
    whole.add(keys)
    for part in np.array_split(keys, 7):
        portions.add(part)
    assert np.array_equal(whole.keys, portions.keys)
    assert np.array_equal(whole.counts, portions.counts)
    assert whole.counts.sum() == 1000


def test_a_scored_token_needs_its_context() -> None:
    with pytest.raises(ValueError, match="fewer than 2 tokens"):
        packed(np.arange(5), np.array([False, True, True, True, True]), 3)
    keys = packed(np.array([1, 2, 3, 4]), np.array([False, False, False, True]), 3)
    assert keys.tolist() == [2 << 2 * BITS | 3 << BITS | 4]


def test_interval_covers_and_groups_count() -> None:
    """The interval of 200 groups is near the normal one; pieces that are copies of each other widen
    it.
    """
    rng = np.random.default_rng(0)
    notes = np.ones(200)
    bits = rng.normal(8, 1, 200)
    alone = ratio_interval(bits, notes, range(200), np.random.default_rng(0))
    assert alone.value == pytest.approx(bits.mean())
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * bits.std() / 200**0.5, rel=0.05)
    copied = np.repeat(bits[:20], 10)
    together = ratio_interval(
        copied, notes, np.repeat(np.arange(20), 10).tolist(), np.random.default_rng(0)
    )
    apart = ratio_interval(copied, notes, range(200), np.random.default_rng(0))
    assert together.groups == 20
    assert together.high - together.low > 2.5 * (apart.high - apart.low)
    assert np.isnan(ratio_interval(bits, notes, [1] * 200, rng).low)


def test_markers() -> None:
    text = fill("a <!-- begin x -->old<!-- end x --> b", {"x": r"new \1"})
    assert text == "a <!-- begin x -->\n\nnew \\1\n\n<!-- end x --> b"
    assert fill(text, {"x": r"new \1"}) == text
    with pytest.raises(InputError, match="begin y"):
        fill(text, {"y": ""})


def test_recipes(
    tiny_data: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Baselines and an evaluation are made, and the tables from them."""
    monkeypatch.setattr(
        baselines, "TRANSPOSITIONS", {"score": range(-1, 2), "performance": range(1)}
    )
    results = tmp_path / "results"
    data = ["--data", str(tiny_data)]
    assert baselines.main([*data, "--out", str(results / "baselines.json")]) == 0
    found = json.loads((results / "baselines.json").read_text())
    bits = {row["model"]: row["feels"]["score"]["bits_per_note"] for row in found["results"]}
    assert bits["uniform"] > bits["unigrams"] > bits["4-grams"] > 0

    run = ["--model", str(tiny_package), *data, "--name", "tiny"]
    assert evaluate.main([*run, "--out", str(results / "tiny.json")]) == 0
    assert (
        evaluate.main(
            [*run, "--without-melody", "--pieces", "1", "--out", str(results / "free.json")]
        )
        == 0
    )
    for name, tokens in (("short", 128), ("whole", 9999)):
        assert (
            evaluate.main([*run, "--context", str(tokens), "--out", str(tmp_path / f"{name}.json")])
            == 0
        )
    whole, short, all_of_it = (
        json.loads(path.read_text())["results"][0]
        for path in (results / "tiny.json", tmp_path / "short.json", tmp_path / "whole.json")
    )
    assert (whole["context"], short["context"], all_of_it) == (512, 128, whole)
    assert short["feels"] != whole["feels"]
    assert evaluate.main([*run, "--longest", "1", "--out", str(results / "none.json")]) == 2

    log = tmp_path / "log.jsonl"
    rows = [{"step": 0, "tokens": 0, "time": 0, "loss": 5.0}, {"step": 9, "tokens": 99, "time": 60}]
    rows[1]["eval_bits_per_note_score"] = 7.5
    log.write_text("\n".join(map(json.dumps, rows)))
    readme, curve = tmp_path / "README.md", tmp_path / "curve.png"
    arguments = [
        "--results",
        str(results),
        "--log",
        str(log),
        "--readme",
        str(readme),
        "--curve",
        str(curve),
    ]
    card, shipped = tmp_path / "card.md", CARD.read_bytes()
    card.write_text(README)
    arguments += ["--card", str(card)]
    assert report.main(arguments) == 2
    readme.write_text(README)
    assert report.main(arguments) == 0
    assert CARD.read_bytes() == shipped  # once, a test run overwrote the shipped card's numbers
    assert "| tiny | nothing | validation |" in card.read_text()
    text = readme.read_text()
    assert f"{bits['4-grams']:.2f}" in text
    assert "| tiny | nothing | validation |" in text
    assert "| 9 | 0.0 M | 7.500 |  |" in text
    assert curve.stat().st_size > 1000
