"""Embed what earlier tokens imply (:mod:`styletransfer.tokens.follower`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from styletransfer.tokens.controls import PLAN
from styletransfer.tokens.follower import (
    BASS_ROWS,
    CHORD_ROWS,
    DISTANCES,
    LEFT,
    OFFSETS,
    PITCHES,
    STEPS,
    Follower,
    TokenLists,
)

PLACES = 5
"""How many features of place and melody there are.

They stand first; the style's come after them, those of the plan and the reference last.
"""


def followed(ids: Tensor, lists: TokenLists) -> Tensor:
    """Compute the features of whole sequences from their BOS on.

    Padding after them does no harm.

    Args:
        ids: shape (batch, time).
        lists: what the tokens mean.

    Returns:
        Shape (batch, time, features), on the device of ``ids``.
    """
    rows = [
        [follower.push(index) for index in row]
        for row in ids.tolist()
        for follower in [Follower(lists)]
    ]
    return torch.tensor(rows, device=ids.device)


class FeatureEmbedding(nn.Module):
    """The sum of the features' embeddings.

    ``names``: the vocabulary's tokens; a vocabulary without plans (of a model before 0.2) has no
    tables for them.
    """

    def __init__(self, width: int, names: list[str]) -> None:
        super().__init__()
        self.lists = TokenLists.of(names)
        self.plans = PLAN in names
        self.step = nn.Embedding(STEPS, width)
        self.next_pitch = nn.Embedding(PITCHES, width)
        self.distance = nn.Embedding(DISTANCES, width)
        self.last_pitch = nn.Embedding(PITCHES, width)
        self.last_duration = nn.Embedding(STEPS, width)
        self.style = nn.Embedding(len(names), width)
        if self.plans:
            self.chord = nn.Embedding(CHORD_ROWS, width)
            self.bass = nn.Embedding(BASS_ROWS, width)
            self.next_chord = nn.Embedding(CHORD_ROWS, width)
            self.chord_distance = nn.Embedding(DISTANCES, width)
            self.offset = nn.Embedding(OFFSETS, width)
            self.left = nn.Embedding(LEFT, width)
            self.again = nn.Embedding(DISTANCES, width)
            self.duration = nn.Embedding(STEPS, width)

    def tables(self) -> tuple[nn.Embedding, ...]:
        """Return the tables in the features' order."""
        places = self.step, self.next_pitch, self.distance, self.last_pitch, self.last_duration
        if not self.plans:
            return *places, *[self.style] * 3
        plan = self.chord, self.bass, self.next_chord, self.chord_distance
        return *places, *[self.style] * 4, *plan, self.offset, self.left, self.again, self.duration

    def forward(self, features: Tensor) -> Tensor:
        """Embed features, shape (batch, time, features), to (batch, time, width).

        All tables but the style's are read as one, a bag of rows at a time; PEFT may wrap the
        style's. A model without plans reads the first features only.
        """
        tables = self.tables()
        own = [k for k in range(len(tables)) if not PLACES <= k < PLACES + self.styles]
        weights = [tables[k].weight for k in own]
        starts = torch.tensor(
            [0, *(len(weight) for weight in weights[:-1])], device=features.device
        ).cumsum(0)
        rows = features[..., own] + starts
        summed = functional.embedding_bag(rows.view(-1, len(own)), torch.cat(weights), mode="sum")
        style: Tensor = self.style(features[..., PLACES : PLACES + self.styles]).sum(-2)
        return summed.view(*rows.shape[:-1], -1) + style

    @property
    def styles(self) -> int:
        """How many features are tokens of the style."""
        return 4 if self.plans else 3
