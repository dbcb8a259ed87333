"""What every token can know from the tokens before it: its place in the bar, the melody note that comes next, the style.

A small model spends most of its training on finding out, by attention alone, how far into the bar the time shifts have led
and which melody note that is; both follow from the tokens by addition and look-up. So they are computed, and embedded beside
each token. So are key and style: a tag that every token carries need not be fetched, by every layer, from hundreds of tokens
ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from styletransfer.tokens.codec import steps_of
from styletransfer.tokens.controls import MELODY

STEPS = 289  # positions in a bar, in steps; the last stands for all beyond
DISTANCES = 98  # steps to the next melody note, 97: beyond; a further row says that there is none
PITCHES = 128
NEVER = 1 << 20


class TokenValues(nn.Module):
    """Tables over the vocabulary's names, in the order of their ids: buffers that are no part of the weights."""

    shift: Tensor
    pitch: Tensor
    duration: Tensor
    is_melody: Tensor
    is_bar: Tensor
    is_key: Tensor
    is_era: Tensor
    is_composer: Tensor

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor([_steps(name, "TimeShift") for name in names]), persistent=False)
        self.register_buffer("duration", torch.tensor([_steps(name, "Duration") for name in names]), persistent=False)
        pitches = [int(name.split("_")[1]) if name.startswith("Pitch_") else 0 for name in names]
        self.register_buffer("pitch", torch.tensor(pitches), persistent=False)
        self.register_buffer("is_melody", torch.tensor([name == MELODY for name in names]), persistent=False)
        for kind in ("bar", "key", "era", "composer"):
            named = torch.tensor([name.startswith(f"{kind.upper()}_") for name in names])
            self.register_buffer(f"is_{kind}", named, persistent=False)

    def lists(self) -> TokenLists:
        """The tables for a :class:`Follower`."""
        kind = [""] * len(self.shift)
        for name in ("melody", "bar", "key", "era", "composer"):
            for index in getattr(self, f"is_{name}").nonzero().flatten().tolist():
                kind[index] = name
        return TokenLists(self.shift.tolist(), self.pitch.tolist(), self.duration.tolist(), kind)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def _followed(self, ids: Tensor) -> tuple[Tensor, ...]:
        """Outside what is compiled: a compiler would unroll it, token by token."""
        lists = self.lists()
        rows = [[follower.push(index) for index in row] for row in ids.tolist() for follower in [Follower(lists)]]
        return tuple(torch.tensor(rows).unbind(-1))

    def features(self, ids: Tensor, last: int) -> tuple[Tensor, ...]:
        """Features of the last tokens of sequences.

        Args:
            ids: (batch, time) whole sequences from their BOS on (padding before it does no harm).
            last: of how many tokens at the end the features are wanted.

        Returns:
            Eight (batch, last) tensors: the step in the bar after the token; the pitch of the next melody note of the same
            bar that hasn't begun (0: none); the steps until it begins; the pitch of the last one that has (0: none), and
            its duration in steps; the ids of the key's, the era's and the composer's token. The melody is known to tokens
            of the arrangement only, where there is a melody.

        Whole sequences are followed token by token where no accelerator waits for them: that takes a fifth of the time.
        """
        if last == ids.shape[1] and ids.device.type == "cpu":
            told: tuple[Tensor, ...] = self._followed(ids)
            return told
        shift, pitch = self.shift[ids], self.pitch[ids]
        is_melody, is_bar = self.is_melody[ids], self.is_bar[ids]
        time = shift.cumsum(1)
        step = time - torch.where(is_melody | is_bar, time, 0).cummax(1).values
        segment = is_melody.long().cumsum(1)
        inside = torch.where(is_melody, 1, torch.where(is_bar, 2, 0))  # 1 in a melody segment, 2 in a bar
        index = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        opened = torch.where(inside > 0, index, 0).cummax(1).values
        inside = inside.gather(1, opened)
        source = (inside == 1) & (pitch > 0)
        # A bar's melody is the segment before the last: the last one already tells the bar to come.
        here = (segment[:, -last:, None] - 1 == segment[:, None]) & (inside[:, -last:, None] == 2) & source[:, None]
        now, onset = step[:, -last:, None], step[:, None]
        # A note of the arrangement with the melody's pitch at the melody's onset has begun it.
        held = pitch.gather(1, torch.where((pitch > 0) | (shift > 0), index, 0).cummax(1).values)  # of the note at this token
        begun = (onset < now) | ((onset == now) & (pitch[:, None] == held[:, -last:, None]))
        nearest = torch.where(here & ~begun, onset, NEVER).min(-1)
        latest = torch.where(here & begun, onset, -1).max(-1)
        found = nearest.values < NEVER
        next_pitch = torch.where(found, pitch.gather(1, nearest.indices), 0)
        distance = torch.where(found, (nearest.values - step[:, -last:]).clamp(0, DISTANCES - 2), DISTANCES - 1)
        begun_one = latest.values >= 0
        last_pitch = torch.where(begun_one, pitch.gather(1, latest.indices), 0)
        after = (latest.indices + 1).clamp(max=ids.shape[1] - 1)  # a melody note's duration stands behind its pitch
        last_duration = torch.where(begun_one, self.duration[ids].gather(1, after), 0)
        style = [
            torch.where(kind[ids], ids, 0).cummax(1).values[:, -last:] for kind in (self.is_key, self.is_era, self.is_composer)
        ]
        step, last_duration = step[:, -last:].clamp(max=STEPS - 1), last_duration.clamp(max=STEPS - 1)
        return step, next_pitch, distance, last_pitch, last_duration, *style


@dataclass(frozen=True)
class TokenLists:
    """The tables of :class:`TokenValues` as lists."""

    shift: list[int]
    pitch: list[int]
    duration: list[int]
    kind: list[str]  # melody, bar, key, era, composer, or nothing


@dataclass
class Follower:
    """The features of one sequence as it grows: what :meth:`TokenValues.features` tells of its last token, a tuple of eight."""

    lists: TokenLists
    step: int = 0
    inside: str = ""  # a melody segment, a bar, or neither yet
    held: int = 0  # the pitch of the note at the last token
    key: int = 0
    era: int = 0
    composer: int = 0
    told: list[list[int]] = field(default_factory=list)  # onset, pitch and duration of the notes of the last segment
    here: list[list[int]] = field(default_factory=list)  # of the one before: those of the bar

    def push(self, index: int) -> tuple[int, ...]:
        lists = self.lists
        kind, pitch, shift = lists.kind[index], lists.pitch[index], lists.shift[index]
        if kind in ("melody", "bar"):
            self.step, self.inside = 0, kind
            if kind == "melody":
                self.here, self.told = self.told, []
        elif kind:
            setattr(self, kind, max(getattr(self, kind), index))
        elif shift:
            self.step, self.held = self.step + shift, 0
        elif pitch:
            self.held = pitch
            if self.inside == "melody":
                self.told.append([self.step, pitch, 0])
        elif self.inside == "melody" and self.told and lists.duration[index]:
            self.told[-1][2] = lists.duration[index]
        after = last = None
        if self.inside == "bar":
            for note in self.here:
                if note[0] < self.step or (note[0] == self.step and note[1] == self.held):
                    last = note if last is None or note[0] > last[0] else last
                else:
                    after = note if after is None or note[0] < after[0] else after
        next_pitch, distance = (after[1], min(after[0] - self.step, DISTANCES - 2)) if after else (0, DISTANCES - 1)
        last_pitch, duration = (last[1], min(last[2], STEPS - 1)) if last else (0, 0)
        return min(self.step, STEPS - 1), next_pitch, distance, last_pitch, duration, self.key, self.era, self.composer


class FeatureEmbedding(nn.Module):
    """The sum of the features' embeddings, (batch, time, width)."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.step = nn.Embedding(STEPS, width)
        self.next_pitch = nn.Embedding(PITCHES, width)
        self.distance = nn.Embedding(DISTANCES, width)
        self.last_pitch = nn.Embedding(PITCHES, width)
        self.last_duration = nn.Embedding(STEPS, width)
        self.style = nn.Embedding(vocabulary, width)

    def tables(self) -> tuple[nn.Embedding, ...]:
        """In the features' order."""
        return self.step, self.next_pitch, self.distance, self.last_pitch, self.last_duration, *[self.style] * 3

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        """The five tables as one, of which a bag of five rows is taken; the style's may be wrapped by PEFT."""
        places, styles = features[:5], features[5:]
        weights = [table.weight for table in self.tables()[:5]]
        first, rows = 0, []
        for place, weight in zip(places, weights, strict=True):
            rows.append(place + first)
            first += len(weight)
        bags = torch.stack(rows, -1)
        summed = functional.embedding_bag(bags.view(-1, len(rows)), torch.cat(weights), mode="sum")
        style: Tensor = self.style(torch.stack(styles)).sum(0)
        return summed.view(*bags.shape[:-1], -1) + style


def _steps(name: str, kind: str) -> int:
    return steps_of(name) if name.startswith(kind + "_") else 0
