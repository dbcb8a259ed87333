"""Make small things that several tests need.

These are the codec, random music, and a model of two layers with random weights.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from styletransfer.music.notes import Feel, Piece, bars_of, make_notes
from styletransfer.tokens.codec import Codec


@lru_cache(maxsize=1)
def codec() -> Codec:
    """Return the default tokenizer; MidiTok is imported once."""
    return Codec()


def random_piece(seed: int, feel: Feel, quarters: int = 24) -> Piece:
    """Make a melody over a bass in 3/4, both on sixteenths, or played freely.

    The melody is marked, and each is a part.
    """
    rng = np.random.default_rng(seed)
    right = np.cumsum(rng.choice([0.5, 1.0], 2 * quarters))
    right = right[right < quarters] - right[0]
    left = np.arange(0.0, right[-1])
    onset = np.concatenate([right, left])
    if feel == "performance":  # drawn in 480ths, so that a MIDI file holds it exactly
        onset = (
            np.sort(np.round(onset * 480 * 1.03 + rng.integers(0, 40, len(onset))))[
                np.argsort(np.argsort(onset))
            ]
            / 480
        )
    melody = np.arange(len(onset)) < len(right)
    pitch = np.where(melody, rng.integers(67, 85, len(onset)), rng.integers(36, 58, len(onset)))
    notes = make_notes(
        onset, np.full(len(onset), 0.25), pitch, rng.integers(30, 110, len(onset)), ~melody, melody
    )
    bars = bars_of([(0.0, 3, 4)], float(onset.max()) + 0.25)
    return Piece(notes, feel, bars if feel == "score" else bars[:0], parts=("Melody", "Bass"))


def tune_of(bars: int, upbeat: int = 0, silent: Collection[int] = ()) -> Piece:
    """Make a melody of quarters in 3/4.

    It has so many bars, after a pick-up of some quarters; some bars are silent.
    """
    onset = np.array([k for k in range(-upbeat, 3 * bars) if k // 3 not in silent], float)
    notes = make_notes(
        onset - onset[0], np.full(len(onset), 0.9), 72 + np.arange(len(onset)) % 7, melody=True
    )
    return Piece(
        notes, "score", bars_of([(upbeat - 3.0 if upbeat else 0.0, 3, 4)], float(3 * bars + upbeat))
    )


def short_song(path: Path) -> Path:
    """Write a MIDI file with one bar of four notes, which is arranged in no time."""
    from styletransfer.formats.midi_out import write_midi

    notes = make_notes([0.0, 1.0, 2.0, 2.5], [1.0, 1.0, 0.5, 0.5], [72, 74, 76, 72])
    write_midi(Piece(notes, "score", bars_of([(0.0, 3, 4)], 3.0)), path)
    return path


def tiny_model(context: int = 512, seed: int = 0, width: int = 32, groups: int = 0) -> Any:
    """Make random weights, so large that all logits depend on all of the past."""
    import torch

    from styletransfer.model.base import build_model

    tokens = codec()
    torch.manual_seed(seed)
    model = build_model(tiny_sizes(context, width, groups), tokens.vocabulary).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0, 0.2)
    return model


def tiny_sizes(context: int = 512, width: int = 32, groups: int = 0) -> Any:
    from styletransfer.model.weights import ModelConfig

    return ModelConfig(
        width=width, layers=2, heads=2, hidden=2 * width, context=context, groups=groups
    )


def save_tiny_package(folder: Path, seed: int = 0, context: int = 512) -> Path:
    """Save an untrained package like the shipped one, which writes few notes.

    All embeddings share their first coordinate, and so do the hidden states; it is 0 for pitches,
    and larger for tokens that end a bar. The layers add little.
    """
    import torch

    from styletransfer.model.base import save_package

    tokens, model = codec(), tiny_model(context, seed)
    with torch.no_grad():
        weight = model.model.embed_tokens.weight
        weight[:, 0] = 2.0
        weight[tokens.first_pitch : tokens.first_pitch + 88, 0] = 0.0
        weight[tokens.melody, 0] = 3.0
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("o_proj", "down_proj", "features")):
                parameter.mul_(0.1)
    manifest = {"model": asdict(tiny_sizes(context)), "tokenizer_hash": tokens.hash}
    save_package(model, folder, tokens.vocabulary, manifest)
    return folder
