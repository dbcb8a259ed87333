"""Test training data, optimiser and likelihood.

Windows depend on their number alone, and bits are counted once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from styletransfer.data import batches
from styletransfer.data.batches import (
    IGNORE,
    MixtureConfig,
    Windows,
    padded,
    piece_grid,
    transposed,
)
from styletransfer.data.library import Library
from styletransfer.model.base import BLOCK, causal_attention
from styletransfer.music.notes import Feel, Piece, bars_of, make_notes
from styletransfer.tokens.codec import HIGHEST_PITCH, LOWEST_PITCH
from styletransfer.tokens.controls import Controls
from styletransfer.tokens.figures import figures_of, references_of
from styletransfer.training.likelihood import bits_per_note, window_bits, windows_of
from styletransfer.training.optimizer import MuonAdamW, WarmupStableDecay, orthogonalized
from tests.tiny import codec, random_piece, tiny_model


@pytest.fixture(scope="module")
def library(tiny_data: Path) -> Library:
    return Library.load(tiny_data)


def windows_from(library: Library, seed: int = 1, split: str = "train", **mixture: Any) -> Windows:
    return Windows(library, codec(), MixtureConfig(**mixture), 128, seed, split)


# windows


def test_a_window_depends_on_seed_and_number_alone(library: Library) -> None:
    """Windows may be requested in any order, and from any object."""
    numbers = [*range(12), 10**9]
    forward = [windows_from(library)[number] for number in numbers]
    other = windows_from(library)
    backward = [other[number] for number in reversed(numbers)][::-1]
    for one, two in zip(forward, backward, strict=True):
        for key in ("input_ids", "labels"):
            np.testing.assert_array_equal(one[key], two[key])
    assert len({row["input_ids"].tobytes() for row in forward}) > len(numbers) - 3
    assert any(
        (windows_from(library, seed=2)[n]["input_ids"] != forward[n]["input_ids"]).any()
        for n in range(12)
    )


def test_windows_are_well_formed(library: Library) -> None:
    """Each begins with its controls; labels are the ids, except for tokens that aren't learnt."""
    windows = windows_from(library)
    for number in range(40):
        row = windows[number]
        names = [codec().names[index] for index in row["input_ids"].tolist()]
        assert names[0] == "BOS"
        assert names[1] in ("FEEL_score", "FEEL_performance")
        assert row["input_ids"].shape == row["labels"].shape == (128,)
        learnt = row["labels"] != IGNORE
        assert learnt.sum() > 10
        np.testing.assert_array_equal(row["labels"][learnt], row["input_ids"][learnt])
        assert not (learnt & (row["input_ids"] == codec().pad)).any()
        assert not learnt[:4].any()


@pytest.mark.parametrize("split", ["train", "validation"])
def test_only_pieces_of_the_split_are_read(
    library: Library, split: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[int] = set()
    notes = Library.notes

    def spy(self: Library, i: int) -> Any:
        read.add(i)
        return notes(self, i)

    monkeypatch.setattr(Library, "notes", spy)
    windows = windows_from(library, split=split)
    for number in range(80):
        windows[number]
    assert read == set(library.select(split=split))
    assert {library.pieces[i].split for i in read} == {split}


def test_the_mixture_is_kept_to(library: Library) -> None:
    """Shares of feel, melody and style tokens are measured in 400 windows."""

    def names(**mixture: Any) -> list[set[str]]:
        windows = windows_from(library, **mixture)
        return [{codec().names[i] for i in windows[n]["input_ids"].tolist()} for n in range(400)]

    def share(name: str, rows: list[set[str]]) -> float:
        return sum(name in row for row in rows) / len(rows)

    rows = names(score_share=0.3, melody_share=0.6, drop_style=0.2, drop_composer=0.3)
    assert share("FEEL_score", rows) == pytest.approx(0.3, abs=0.08)
    assert share("MELODY", rows) == pytest.approx(0.6, abs=0.08)
    assert share("ERA_unknown", rows) == pytest.approx(0.2, abs=0.08)
    assert share("COMPOSER_unknown", rows) == pytest.approx(0.5, abs=0.08)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(21, 108), min_size=1, max_size=12),
    st.integers(-90, 90),
    st.integers(-40, 40),
)
def test_augmentation_stays_on_the_keyboard(
    pitches: list[int], semitones: int, loudness: int
) -> None:
    """It moves as far as it can, and every note by the same interval."""
    table = make_notes(np.arange(len(pitches)), np.ones(len(pitches)), pitches, velocity=64)
    grid = codec().grid_of("performance", table, random_piece(0, "performance").bars)
    moved = transposed(grid, semitones, loudness)
    (distance,) = set((moved.pitch - grid.pitch).tolist())
    assert distance in (
        semitones,
        LOWEST_PITCH - grid.pitch.min(),
        HIGHEST_PITCH - grid.pitch.max(),
    )
    assert LOWEST_PITCH <= moved.pitch.min() <= moved.pitch.max() <= HIGHEST_PITCH
    assert 0 <= moved.velocity.min() <= moved.velocity.max() < len(codec().velocity_values)
    np.testing.assert_array_equal(moved.onset, grid.onset)


# optimiser


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = WarmupStableDecay(4)
    assert [schedule(step) for step in (0, 1, 3, 4, 1000)] == [0.25, 0.5, 1, 1, 1]
    assert schedule.end is None
    schedule.decay_start, schedule.decay_steps = 100, 10
    assert [schedule(step) for step in (99, 100, 105, 110, 200)] == [1, 1, 0.5, 0, 0]
    assert schedule.end == 110


def test_the_schedule_is_saved_with_the_scheduler() -> None:
    """A run resumed during its decay continues it."""

    def scheduler() -> torch.optim.lr_scheduler.LambdaLR:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
        return torch.optim.lr_scheduler.LambdaLR(optimizer, WarmupStableDecay(2))

    first, second = scheduler(), scheduler()
    first.lr_lambdas[0].decay_start, first.lr_lambdas[0].decay_steps = 50, 7  # type: ignore[attr-defined]
    second.load_state_dict(first.state_dict())
    assert vars(second.lr_lambdas[0]) == {
        "warmup": 2,
        "decay_start": 50,
        "decay_steps": 7,
        "minutes": None,
    }


@pytest.mark.parametrize(("dtype", "turned"), [(torch.float32, 1e-3), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("shape", [(3, 16, 40), (2, 40, 16), (1, 24, 24)])
def test_orthogonalized_matrices_have_equal_singular_values(
    shape: tuple[int, int, int], dtype: torch.dtype, turned: float
) -> None:
    """The quintics bring them all near 1, whatever they were, and turn no singular vector."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    result = orthogonalized(matrices, dtype).float()
    values = torch.linalg.svdvals(result)
    assert (
        values[:, : min(shape[1:]) - 2].min() > 0.6
    )  # the smallest of a random square matrix are too near 0
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ result @ right.mT
    off = inner - torch.diag_embed(torch.diagonal(inner, dim1=1, dim2=2))
    assert off.abs().max() < turned


def trained(model: Any, optimizer: MuonAdamW, rows: torch.Tensor, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def test_the_optimizer_continues_from_its_state() -> None:
    rows = torch.randint(0, codec().size, (2, 24), generator=torch.Generator().manual_seed(1))
    model = tiny_model()
    optimizer = MuonAdamW(model, 0.01, 0.1)
    trained(model, optimizer, rows, 3)
    twin = copy.deepcopy(model)
    again = MuonAdamW(twin, 0.01, 0.1)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert trained(model, optimizer, rows, 3) == trained(twin, again, rows, 3)
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, twin.get_parameter(name)), name


def test_matrices_are_muons_and_the_rest_is_not() -> None:
    optimizer = MuonAdamW(tiny_model(), 0.01, 0.1)
    muon, adam = optimizer.param_groups
    assert (muon["muon"], adam["muon"], adam["weight_decay"]) == (True, False, 0.0)
    assert len(muon["params"]) == 2 * 7
    assert all(
        parameter.ndim == 2 and codec().size not in parameter.shape for parameter in muon["params"]
    )
    assert (
        sum(codec().size in parameter.shape for parameter in adam["params"]) == 2
    )  # the embedding, once, and the styles'


def test_one_batch_is_learnt_by_heart(library: Library) -> None:
    windows = windows_from(library)
    batch = [windows[number] for number in range(2)]
    ids, labels = (
        torch.from_numpy(np.stack([row[key] for row in batch])) for key in ("input_ids", "labels")
    )
    torch.manual_seed(0)
    model = tiny_model(context=128).train()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, 0, 0.02)
    optimizer = MuonAdamW(model, 0.02, 0.0)
    losses = []
    for _ in range(40):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(codec().size), rel=0.1)
    assert losses[-1] < losses[0] / 2


# bits per note


@pytest.mark.parametrize("feel", ["score", "performance"])
@pytest.mark.parametrize("with_melody", [True, False])
@pytest.mark.parametrize("context", [40, 97, 256, 2000])
def test_every_token_is_counted_once(feel: Feel, with_melody: bool, context: int) -> None:
    """What the windows count, in their order, is what :meth:`Codec.encode` marks in the whole
    piece.
    """
    grid, controls = codec().grid(random_piece(3, feel)), Controls(feel)
    ids, scored = codec().encode(grid, controls.tokens(), with_melody=with_melody)
    expected = [index for index, flag in zip(ids, scored, strict=True) if flag]
    windows = windows_of(codec(), grid, controls, context, with_melody=with_melody)
    found = [index for row in windows for index in row.labels[row.labels != IGNORE].tolist()]
    lost = sum(row.lost for row in windows)
    assert len(found) + lost == len(expected)
    if not lost:
        assert found == expected
    assert lost == 0 or context == 40  # no bar of these is longer than 97 tokens
    assert all(
        (row.labels[row.labels != IGNORE] == row.ids[row.labels != IGNORE]).all() for row in windows
    )
    assert len(windows) == 1 or context < len(ids)


@pytest.mark.parametrize("context", [40, 128])
def test_a_uniform_model_costs_the_logarithm_of_the_vocabulary(
    library: Library, context: int
) -> None:
    """This includes tokens that no window holds."""
    model = tiny_model()
    with torch.no_grad():
        model.model.embed_tokens.weight.zero_()
    pieces = library.select(split="validation")
    result = bits_per_note(model, codec(), library, pieces, context, with_melody=True)
    for index, bits, notes in zip(pieces, result.bits, result.notes, strict=True):
        grid = piece_grid(library, codec(), index)
        if grid.feel == "score":
            grid = replace(grid, references=references_of(figures_of(codec(), grid)))
        _, scored = codec().encode(grid, ["BOS"], with_melody=True)
        assert bits == pytest.approx(sum(scored) * math.log2(codec().size), rel=1e-5)
        assert notes == library.pieces[index].count
    assert result.mean == pytest.approx(result.bits.sum() / result.notes.sum())


def test_bits_are_those_of_one_pass_over_the_piece() -> None:
    """This needs a context that holds the piece.

    Shorter windows see less, and cost something else.
    """
    model, grid = tiny_model(context=2000), codec().grid(random_piece(4, "score"))
    controls = Controls("score", "modern", "debussy", key=codec().melody_key(grid, 0))
    ids, scored = codec().encode(grid, controls.tokens(), with_melody=True)
    with torch.inference_mode():
        log = torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].double(), -1)
    bits = -sum(float(log[at - 1, index]) for at, index in enumerate(ids) if scored[at]) / math.log(
        2
    )
    measure: Callable[[int], float] = lambda context: float(  # noqa: E731 - only here
        window_bits(
            model, codec(), windows_of(codec(), grid, controls, context, with_melody=True)
        ).sum()
    )
    assert measure(2000) == pytest.approx(bits, rel=1e-5)
    assert measure(100) != pytest.approx(bits, rel=1e-5)
    assert not model.training


PLAIN = [
    # step, duration, pitch, whether it is of the melody at first, and of the plainer one
    (0, 12, 72, True, True),
    (12, 12, 71, True, False),  # off the beat
    (24, 24, 67, True, False),  # by a leap
    (48, 24, 70, True, True),  # two quarters later
    (48, 24, 55, False, False),
    (72, 12, 69, True, True),  # on the beat, by a step
    (84, 12, 74, True, True),  # upwards
]


def test_a_plainer_melody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every note stays in the music, and the remaining melody notes last over those left out."""
    monkeypatch.setattr(batches, "PLAINER", 1.0)
    step, duration, pitch, melody, plain = zip(*PLAIN, strict=True)
    notes = make_notes(
        np.array(step) / 24, np.array(duration) / 24, list(pitch), melody=list(melody)
    )
    grid = codec().grid(Piece(notes, "score", bars_of([(0.0, 4, 4)], 4.0)))
    found = batches.plainer(grid, codec(), np.random.default_rng(0))
    assert found.melody.tolist() == np.array(plain)[np.lexsort((pitch, step))].tolist()
    assert (found.onset.tolist(), found.pitch.tolist()) == (
        grid.onset.tolist(),
        grid.pitch.tolist(),
    )
    assert found.duration[0] == 48
    assert found.duration[1:].tolist() == grid.duration[1:].tolist()
    monkeypatch.setattr(batches, "PLAINER", 0.0)
    assert (
        batches.plainer(grid, codec(), np.random.default_rng(0)).melody.tolist()
        == grid.melody.tolist()
    )


def test_padded_rows() -> None:
    row = padded([5, 6, 7], [False, True, True], 5, 0)
    assert row["input_ids"].tolist() == [5, 6, 7, 0, 0]
    assert row["labels"].tolist() == [IGNORE, 6, 7, IGNORE, IGNORE]
    assert padded([5, 6, 7], [True] * 3, 2, 0)["labels"].tolist() == [5, 6]


@pytest.mark.parametrize("autocast", [False, True])
def test_attention_in_blocks_is_the_fused_one_and_has_its_gradient(
    autocast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads are grouped and in bfloat16, over a time that is no multiple of a block.

    In training the queries are in float32, and autocast says what they are multiplied in.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    layer = torch.nn.Module()
    layer.num_key_value_groups, layer.is_causal = 4, True
    draws = torch.Generator().manual_seed(7)
    tensors = [torch.randn(2, heads, BLOCK + 53, 16, generator=draws) for heads in (4, 1, 1)]
    if not autocast:
        tensors = [tensor.bfloat16() for tensor in tensors]

    monkeypatch.setattr("styletransfer.model.base.sdpa_attention_forward", None)  # isn't called
    found = []
    for attend in (causal_attention, sdpa_attention_forward):
        query, key, value = (tensor.clone().requires_grad_() for tensor in tensors)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out, _ = attend(layer, query, key, value, None, scaling=0.3)
        out.float().square().sum().backward()
        found.append([out, query.grad, key.grad, value.grad])
    for ours, fused in zip(*found, strict=True):
        assert ours.shape == fused.shape
        assert (ours - fused).abs().max() < 0.03 * fused.abs().max()
