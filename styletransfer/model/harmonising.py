"""Propose chords for a melody.

They are sampled from the harmoniser and ranked by likelihood and by rules of craft. Before the
chords are sampled, where ``guarded``, the following is decided:

- *opening*: the first chord is the tonic or the dominant of the tune's key, if enough of the first
  bar belongs to it;
- *end*: where the tune's last note belongs to the tonic triad, the last chord is that triad in root
  position, from that note on; the network is shown it beforehand, so that it leads there;
- *silence*: bars without a chord are only where the tune rests, or before the first full bar;
- *repeats*: where a bar of the tune comes again, the chords that it had are made likelier.

The ranking then takes off (:data:`styletransfer.model.craft.RULES`): for an end without a dominant
before the tonic; for a chord that is held although the tune contradicts it; for strong notes of the
tune that are foreign and aren't left by step; for accidentals that the chord denies; for harmony
that stands still for bars; for a bass that leaps from chord to chord.

None of this overrules what a user has fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.folders import ASSETS
from styletransfer.model import harmoniser as net
from styletransfer.model.chord_frames import (
    NO_BASS,
    NO_QUALITY,
    NO_ROOT,
    REST,
    Frames,
    chord_table,
    frames_of,
)
from styletransfer.model.craft import opening_chords, penalties, settles
from styletransfer.music.chords import CHORD_DTYPE, ChordTable
from styletransfer.music.key import Key
from styletransfer.music.notes import Piece, bars_of, bars_under
from styletransfer.music.tune_key import key_of_tune

FREE = -2
"""The mark of a frame, or a bass, that isn't fixed."""
NAMES, CLEAN = 0.2, 0.6
"""The likelihood of chords in the ranking: its weight, and the most that counts, in nats per chord.

The likelihood of their rhythm has weight 1, in nats per beat.
"""
REPEATED = 3.0
"""Nats by which the chord of a tune's earlier, equal bar is made likelier.

Composers keep its root for 0.82 of the time; without this, proposals do for 0.53.
"""
SUNG = 0.5
"""The share of a bar's time in which the tune must sound for the bar to count as one repeated."""
ENOUGH = 5
"""The fewest pieces of a composer or an era from which its genre is taken."""


@dataclass(frozen=True)
class Settings:
    """How to propose chords.

    ``composer`` and ``era``: names of the catalogue; others are unknown. ``genre``: song, hymn or
    keyboard; None for that of most of the style's pieces with a voice. ``sung``: whether the tune
    is a part of its own. ``count``: how many samples. ``temperature``, and ``top``: the share of
    the probability that is drawn from. ``strength``: of the style, 0 none, 1 as learnt, more
    exaggerates. ``rate``: chords per bar; None for the network's choice. ``guarded``: by the rules
    of craft.
    """

    composer: str = "unknown"
    era: str = "unknown"
    genre: str | None = None
    sung: bool = True
    count: int = 48
    temperature: float = 1.0
    top: float = 0.98
    strength: float = 1.0
    rate: float | None = None
    guarded: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Shipped:
    """A network, and its manifest with the numbers of its pieces."""

    model: net.Harmoniser
    manifest: Mapping[str, Any]

    def genre(self, settings: Settings) -> str:
        """Choose the genre: that of most of the style's pieces with a voice, or keyboard."""
        if settings.genre is not None:
            return settings.genre
        if not settings.sung:
            return "keyboard"
        for name in (settings.composer, settings.era):
            counts = self.manifest.get("pieces", {}).get(name, {})
            if name != "unknown" and sum(counts.values()) >= ENOUGH:
                voiced = {genre: counts.get(genre, 0) for genre in ("song", "hymn")}
                best = max(voiced, key=lambda genre: voiced[genre])
                return best if voiced[best] >= ENOUGH else "song"
        return "song"


@lru_cache(maxsize=1)
def shipped_harmoniser() -> Shipped:
    """Load the harmoniser that comes with the package."""
    folder = ASSETS / "harmoniser"
    return Shipped(*net.load_harmoniser(folder))


def propose(
    melody: Piece,
    settings: Settings | None = None,
    *,
    key: Key | None = None,
    constraints: ChordTable | None = None,
    prefix: ChordTable | None = None,
    harmoniser: Shipped | None = None,
) -> list[tuple[ChordTable, float]]:
    """Propose harmonies of a tune, the best first.

    The same arguments give the same result.

    Args:
        melody: the tune alone, with bars (four quarters each where it has none); its rests may be
            long.
        settings: style, number of samples and the like.
        key: by default the key signature's, else the estimated one.
        constraints: spans that are fixed, in quarters, not overlapping; a bass of -1 is free, a
            root and a quality of -1 are no chord. Every proposal has them as they are given.
        prefix: a beginning that is fixed likewise.
        harmoniser: instead of the one that comes with the package.

    Returns:
        Chord tables from the first bar to the last, each once, with their scores: nats per beat,
        less what the rules take off.

    Raises:
        ValueError: for a melody without notes.
    """
    settings, own = settings or Settings(), harmoniser or shipped_harmoniser()
    if not len(melody.notes):
        raise ValueError("a melody without notes has no harmony")
    end = float((melody.notes["onset"] + melody.notes["duration"]).max())
    bars = (
        bars_under(melody.bars, melody.notes) if len(melody.bars) else bars_of([(0.0, 4, 4)], end)
    )
    frames = frames_of(melody.notes, bars, melody.tempo.quarters_per_minute())

    key = key or key_of_tune(melody)
    parts = [part for part in (prefix, constraints) if part is not None and len(part)]
    given = np.concatenate(parts) if parts else np.zeros(0, CHORD_DTYPE)
    fixed = _fixed(given, frames, key.tonic)
    plan = _Plan(fixed, None, _silence(frames), np.full(len(frames), -1))
    if settings.guarded:
        plan = replace(
            plan,
            fixed=_with_end(fixed, melody, frames, key),
            opening=_opening(frames, key, fixed),
            repeated=repeats(frames),
        )

    sampled = sample(own, frames, key, plan, settings)
    found: dict[bytes, tuple[ChordTable, float]] = {}
    for index, one in enumerate(sampled.chords):
        value = float(sampled.nats[index])
        if settings.guarded:
            value = _typical(sampled, index) - penalties(one, melody.notes, frames, key)
        table = overlaid(chord_table(_from_c(one, key.tonic), frames), given)
        found.setdefault(table.tobytes(), (table, value))
    return sorted(found.values(), key=lambda pair: -pair[1])


def _from_c(chords: NDArray[np.int64], tonic: int) -> NDArray[np.int64]:
    """Count chords' roots and basses, (frames, 3), from C instead of a tonic."""
    absolute = chords.copy()
    for column, none in ((0, NO_ROOT), (2, NO_BASS)):
        absolute[:, column] = np.where(
            chords[:, column] < none, (chords[:, column] + tonic) % 12, none
        )
    return absolute


def _typical(sampled: Sampled, index: int) -> float:
    """Score a sample by its likelihood.

    The best is as lively as is to be expected, and has likelier chords than that.
    """
    return min(float(sampled.names[index]), CLEAN) * NAMES - abs(float(sampled.rhythm[index]))


@dataclass(frozen=True)
class _Plan:
    """What is decided before chords are sampled.

    ``fixed``: root, quality and bass from the tonic, or FREE, shape (frames, 3). ``opening``: the
    chords that may come first, (12 x qualities,), None for all. ``silence``: where there may be no
    chord, (frames,). ``repeated``: the earlier frame with the same tune, -1 for none, (frames,).
    """

    fixed: NDArray[np.int64]
    opening: NDArray[np.bool_] | None
    silence: NDArray[np.bool_]
    repeated: NDArray[np.int64]


def _fixed(given: ChordTable, frames: Frames, tonic: int) -> NDArray[np.int64]:
    """Return the chord given for each frame, from the tonic, shape (frames, 3)."""
    fixed = np.full((len(frames), 3), FREE, np.int64)
    middle = frames.start + frames.length / 2
    for row in given:
        inside = (middle >= row["start"]) & (middle < float(row["start"]) + float(row["length"]))
        if row["root"] < 0 or row["quality"] < 0:
            fixed[inside] = NO_ROOT, NO_QUALITY, NO_BASS
        else:
            bass = (int(row["bass"]) - tonic) % 12 if row["bass"] >= 0 else FREE
            fixed[inside] = (int(row["root"]) - tonic) % 12, int(row["quality"]), bass
    return fixed


def _opening(frames: Frames, key: Key, fixed: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Mark the chords that may come first, or return None for all."""
    return None if fixed[0, 0] != FREE else opening_chords(frames, key)


def _silence(frames: Frames) -> NDArray[np.bool_]:
    """Mark the frames that may have no chord: where the tune rests, or in a pick-up."""
    pickup = (frames.bar == 0) & (frames.place[0] > 0)
    sounds = frames.sound.sum((1, 2)) > 0
    before = (np.cumsum(sounds) == 0) & (frames.bar == 0)
    return np.asarray(((frames.tone == REST) & ~sounds) | pickup | before)


def repeats(frames: Frames) -> NDArray[np.int64]:
    """Find for each frame the one of an earlier bar with the same tune, shape (frames,).

    Of several such bars it is the one before which most bars are the same, too, and of these the
    latest. -1 where there is none.
    """
    found = np.full(len(frames), -1)
    bars = [np.flatnonzero(frames.bar == bar) for bar in range(int(frames.bar[-1]) + 1)]
    lengths = {len(rows) for rows in bars}
    alike = {length: np.array([rows for rows in bars if len(rows) == length]) for length in lengths}
    runs: dict[tuple[int, int], int] = {}
    for bar, rows in enumerate(bars):
        own = frames.sound[rows]
        if own.any(2).mean() < SUNG:
            continue

        earlier = alike[len(rows)]
        earlier = earlier[frames.bar[earlier[:, 0]] < bar]
        equal = np.isclose(own, frames.sound[earlier], atol=0.02).all(axis=(1, 2, 3))
        same = frames.bar[earlier[equal, 0]].tolist()
        runs |= {(other, bar): runs.get((other - 1, bar - 1), 0) + 1 for other in same}
        if same:
            found[rows] = bars[max(same, key=lambda other: (runs[other, bar], other))]

    return found


def _with_end(
    fixed: NDArray[np.int64], melody: Piece, frames: Frames, key: Key
) -> NDArray[np.int64]:
    """Fix the tonic under the last note, too, if that belongs to the tonic triad."""
    fixed = fixed.copy()
    first = settles(melody.notes, frames, key)
    if first is not None and (fixed[first:, 0] == FREE).all():
        fixed[first:] = 0, int(key.mode == "minor"), 0
    return fixed


def overlaid(table: ChordTable, given: ChordTable) -> ChordTable:
    """Put given spans into a chord table as they are.

    A given bass of -1 takes the table's own.
    """
    end = float(table["start"][-1] + table["length"][-1])
    edges = np.unique(
        np.concatenate([table["start"], given["start"], given["start"] + given["length"], [end]])
    )
    edges = edges[(edges >= table["start"][0] - 1e-4) & (edges <= end + 1e-4)]

    rows = np.zeros(len(edges) - 1, CHORD_DTYPE)
    rows["start"], rows["length"] = edges[:-1], np.diff(edges)
    rows = rows[rows["length"] > 1e-3]
    for row in rows:
        middle = float(row["start"] + row["length"] / 2)
        own = table[int(np.searchsorted(table["start"], middle, side="right")) - 1]
        at = np.flatnonzero(
            (given["start"] <= middle) & (given["start"] + given["length"] > middle)
        )
        chosen = given[at[0]] if len(at) else own
        row["root"], row["quality"], row["bass"] = chosen["root"], chosen["quality"], chosen["bass"]
        if len(at) and chosen["bass"] < 0 <= chosen["root"]:
            same = own["root"] == chosen["root"] and own["quality"] == chosen["quality"]
            row["bass"] = own["bass"] if same and own["bass"] >= 0 else chosen["root"]

    chords = np.stack([rows[name] for name in ("root", "quality", "bass")], axis=1)
    begin = np.flatnonzero(np.concatenate([[True], (chords[1:] != chords[:-1]).any(axis=1)]))
    joined = rows[begin]
    joined["length"] = np.diff(np.append(joined["start"], end))
    return joined


def melody_batch(
    frames: Frames, key: Key, style: list[int], sung: bool, rate: int, hints: NDArray[np.int64]
) -> net.MelodyBatch:
    """Prepare one melody for the encoder, arrays of shape (1, frames, ...)."""
    shown = np.where(hints == FREE, [net.HIDDEN, net.HIDDEN_QUALITY, net.HIDDEN], hints)
    tone = np.where(frames.tone < REST, (frames.tone - key.tonic) % 12, REST)
    return net.MelodyBatch(
        torch.from_numpy(np.roll(frames.sound, -key.tonic, axis=2))[None],
        torch.from_numpy(frames.numbers)[None],
        torch.from_numpy(tone)[None],
        torch.from_numpy(frames.place)[None],
        torch.from_numpy(frames.metre)[None],
        torch.tensor([style]),
        torch.tensor([int(key.mode == "minor")]),
        torch.tensor([int(sung)]),
        torch.tensor([rate]),
        torch.from_numpy(shown)[None],
    )


@dataclass(frozen=True)
class Sampled:
    """Samples of chords.

    ``chords``: counted from the tonic, shape (count, frames, 3). ``nats``: their log-probability
    per frame, (count,). ``rhythm`` and ``names``: how much likelier than is to be expected their
    rhythm is, in nats per frame, and their names are, in nats per chord, both (count,).
    """

    chords: NDArray[np.int64]
    nats: NDArray[np.float64]
    rhythm: NDArray[np.float64]
    names: NDArray[np.float64]


@torch.inference_mode()
def sample(own: Shipped, frames: Frames, key: Key, plan: _Plan, settings: Settings) -> Sampled:
    """Sample chords, frame by frame."""
    sampler = _Sampler(own, frames, key, plan, settings)
    for frame in range(len(frames)):
        sampler.step(frame)
    result = torch.stack(sampler.past)

    nats = (sampler.rhythm + sampler.names)[:, 0] / len(frames)
    rhythm = sampler.rhythm.sum(1) / len(frames)
    names = sampler.names.sum(1) / sampler.chords.clamp(min=1)
    return Sampled(
        result.transpose(0, 1).numpy(), *(one.double().numpy() for one in (nats, rhythm, names))
    )


class _Sampler:
    """Samples that grow together, frame by frame.

    ``past``: the chords of each frame so far, each of shape (count, 3). ``now``: the present ones,
    (count, 3). ``since``: frames since these began, (count,). ``begun``: which samples have had a
    chord, (count,). ``rhythm`` and ``names``: sums of log-probabilities and entropies, (count, 2).
    ``chords``: how many have begun, (count,).
    """

    def __init__(
        self, own: Shipped, frames: Frames, key: Key, plan: _Plan, settings: Settings
    ) -> None:
        self.model, self.plan, self.settings = own.model, plan, settings
        self.rng = torch.Generator().manual_seed(settings.seed)
        self.tones = _bass_mask()

        config, genre, count = own.model.config, own.genre(settings), settings.count
        styles = [config.style_ids(settings.composer, settings.era, genre)]
        if settings.strength != 1.0:
            styles.append(config.style_ids("unknown", "unknown", genre))
        rate = net.rate_class(settings.rate)
        batches = [
            melody_batch(frames, key, style, settings.sung, rate, plan.fixed) for style in styles
        ]
        self.steppers = [net.Stepper(own.model, batch, count) for batch in batches]

        self.past: list[Tensor] = []
        self.now = torch.tensor([[net.START, net.START_QUALITY, net.START]]).repeat(count, 1)
        self.since = torch.zeros(count, dtype=torch.long)
        self.begun = torch.zeros(count, dtype=torch.bool)
        self.rhythm, self.names = torch.zeros(count, 2), torch.zeros(count, 2)
        self.chords = torch.zeros(count)

    def step(self, frame: int) -> None:
        """Advance by a frame."""
        now = self.now
        before = net.History(now[:, 0], now[:, 1], now[:, 2], net.since_class(self.since))
        for stepper in self.steppers:
            stepper.step(frame, before)

        rows = torch.nonzero(self._changes(frame))[:, 0]
        self.since += 1
        if len(rows):
            self._begin(frame, before, rows)
        self.past.append(self.now)

    def _repeated(self, frame: int) -> tuple[Tensor, float]:
        """Return the chords in an earlier bar of the same tune, and how many nats favour them.

        Where there is no such bar, these are the present chords, shape (count, 3), and 0.
        """
        earlier = int(self.plan.repeated[frame])
        return (self.now, 0.0) if earlier < 0 else (self.past[earlier], REPEATED)

    def _changes(self, frame: int) -> Tensor:
        """Decide in which samples a chord begins, shape (count,)."""
        root, quality, bass = self.plan.fixed[frame].tolist()
        odds = self._mixed([self.model.change_logits(one.states) for one in self.steppers])
        if frame == 0:
            return torch.ones(len(self.now), dtype=torch.bool)

        if root != FREE:
            change = (self.now[:, 0] != root) | (self.now[:, 1] != quality)
            if bass != FREE:
                change |= self.now[:, 2] != bass
        else:
            again, nats = self._repeated(frame)
            liked = odds + nats * ((again != self.now).any(1) * 2 - 1)
            chance = torch.sigmoid(liked / self.settings.temperature)
            change = torch.lt(torch.rand(len(self.now), generator=self.rng), chance)
        both = torch.stack([F.logsigmoid(-odds), F.logsigmoid(odds)], 1)
        self.rhythm += _log_and_entropy(both, change.long())
        return torch.as_tensor(change)

    def _begin(self, frame: int, before: net.History, rows: Tensor) -> None:
        """Draw the chords that begin in some samples."""
        root, quality, bass = self.plan.fixed[frame].tolist()
        again, nats = self._repeated(frame)
        again = again[rows]
        logits = self._mixed([one.chords(frame, before, rows) for one in self.steppers])
        if root != FREE:
            fixed = root * 9 + quality if root < NO_ROOT else net.NO_CHORD
            chord = torch.full((len(rows),), fixed)
        else:
            allowed = torch.ones(len(rows), net.CHORDS, dtype=torch.bool)
            allowed[:, net.NO_CHORD] = bool(self.plan.silence[frame])
            if self.plan.opening is not None:
                opening = torch.from_numpy(self.plan.opening)
                allowed[:, : net.NO_CHORD] &= opening | self.begun[rows, None]
            names = torch.where(again[:, 0] < NO_ROOT, again[:, 0] * 9 + again[:, 1], net.NO_CHORD)
            liked = logits + nats * F.one_hot(names, net.CHORDS)
            chord = _draw(liked, allowed, self.settings, self.rng)
        self.names[rows] += _log_and_entropy(logits.log_softmax(1), chord)
        self.chords[rows] += 1

        named = chord < net.NO_CHORD
        low = self._mixed([one.basses(frame, before, rows, chord) for one in self.steppers])
        new_root = torch.where(named, chord // 9, NO_ROOT)
        same = named & (again[:, 0] == new_root)
        liked = low + nats * same[:, None] * F.one_hot((again[:, 2] - new_root) % 12, 12)
        above = _draw(liked, self.tones[torch.where(named, chord % 9, 0)], self.settings, self.rng)
        if bass != FREE and root < NO_ROOT:
            above = (bass - new_root) % 12
        self.names[rows] += _log_and_entropy(low.log_softmax(1), above) * named[:, None]

        self.now = self.now.clone()
        self.begun[rows] |= named
        self.now[rows, 0] = new_root
        self.now[rows, 1] = torch.where(named, chord % 9, NO_QUALITY)
        self.now[rows, 2] = torch.where(named, (new_root + above) % 12, NO_BASS)
        self.since[rows] = 1

    def _mixed(self, logits: list[Tensor]) -> Tensor:
        """Extrapolate the style's prediction from that without a style."""
        if len(logits) == 1:
            return logits[0]
        mixed: Tensor = logits[1] + self.settings.strength * (logits[0] - logits[1])
        return mixed


def _log_and_entropy(logs: Tensor, chosen: Tensor) -> Tensor:
    """Return each row's log-probability of its choice, and its entropy, (rows, 2).

    Args:
        logs: log-probabilities, shape (rows, classes).
        chosen: shape (rows,).
    """
    entropy = -(logs.exp() * logs).nan_to_num(0.0).sum(1)
    return torch.stack([logs.gather(1, chosen[:, None])[:, 0], entropy], 1)


def _bass_mask() -> Tensor:
    """Mark the semitones above the root that are tones of a chord, (qualities, 12)."""
    from styletransfer.music.chords import INTERVALS

    return torch.tensor([[step in tones for step in range(12)] for tones in INTERVALS])


def _draw(logits: Tensor, allowed: Tensor, settings: Settings, rng: torch.Generator) -> Tensor:
    """Draw an allowed class of each row from the likeliest ``top`` share."""
    scaled = (logits / settings.temperature).masked_fill(~allowed, -torch.inf).softmax(1)
    ordered, index = scaled.sort(1, descending=True)
    kept = ordered.masked_fill(ordered.cumsum(1) - ordered >= settings.top, 0.0)
    return index.gather(1, torch.multinomial(kept, 1, generator=rng))[:, 0]
