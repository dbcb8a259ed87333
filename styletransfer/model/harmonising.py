"""Propose chords for a melody: sampled from the harmoniser, ranked by likelihood and by rules of craft.

What is decided before the chords are sampled (where ``guarded``):

- *opening*: the first chord is the tonic or the dominant of the tune's key, where the first bar has enough of one;
- *end*: where the tune's last note belongs to the tonic triad, the last chord is the tonic triad in root position, from that
  note on; the network is shown it beforehand, so that it leads there;
- *places*: no chord is only where the tune rests, or before the first full bar.

What the ranking takes off (:data:`RULES`): an end without a dominant before the tonic; a chord that is held though the tune
contradicts it; strong notes of the tune that are foreign and aren't left by step; a bar whose accidental the chord denies;
harmony that stands still for bars, or returns to one chord more than the tune asks for.

Nothing of the sort overrules what a user has fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from styletransfer.model import harmoniser as net
from styletransfer.model.chordframes import NO_BASS, NO_QUALITY, NO_ROOT, REST, Frames, chord_table, frames_of
from styletransfer.model.craft import opening_chords, penalties, settles
from styletransfer.score.chords import CHORD_DTYPE, ChordTable
from styletransfer.score.harmony import Key, estimate_key, key_scores
from styletransfer.score.notes import Piece, bars_of, bars_under

FREE = -2
"""Marks a frame, or a bass, that isn't fixed."""
SIGNATURE = 0.15
"""How much better another key has to fit than those of the key signature, in correlations."""
ENOUGH = 5
"""Pieces of a composer or an era that make a genre theirs."""


@dataclass(frozen=True)
class Settings:
    """How chords are proposed.

    ``composer`` and ``era`` are names of the catalogue (others are unknown), ``genre`` song, hymn or keyboard (None: what the
    style's pieces with a voice are), ``sung`` whether the tune is a part of its own; ``count`` samples at ``temperature``,
    of which the ``top`` share of probability is drawn from; ``strength`` of the style (0 none, 1 as learnt, more: above);
    ``rate`` chords a bar (None: the network's choice); ``guarded``: by the rules of craft.
    """

    composer: str = "unknown"
    era: str = "unknown"
    genre: str | None = None
    sung: bool = True
    count: int = 32
    temperature: float = 0.85
    top: float = 0.95
    strength: float = 1.0
    rate: float | None = None
    guarded: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Shipped:
    """A network and what its manifest says of its pieces."""

    model: net.Harmoniser
    manifest: Mapping[str, Any]

    def genre(self, settings: Settings) -> str:
        """The genre to be told: that of most of the style's pieces with a voice, or keyboard."""
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
    folder = Path(str(resources.files("styletransfer"))) / "assets" / "harmoniser"
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

    Args:
        melody: nothing but the tune, with bars (four quarters each where it has none); its rests may be long.
        settings: style, number of samples and the like.
        key: by default the key signature's, else the estimated one.
        constraints: spans that are fixed, in quarters, not overlapping; a bass of -1 is free, root and quality -1 is no
            chord. They stand in every proposal as they are given.
        prefix: a beginning that is fixed likewise.
        harmoniser: another one than the package's.

    Returns:
        Pairs of a chord table from the first bar to the last, and its score: nats a beat, less what the
        rules take off; equal tables once. Same arguments, same result.

    Raises:
        ValueError: for a melody without notes.
    """
    settings, own = settings or Settings(), harmoniser or shipped_harmoniser()
    if not len(melody.notes):
        raise ValueError("a melody without notes has no harmony")
    end = float((melody.notes["onset"] + melody.notes["duration"]).max())
    bars = bars_under(melody.bars, melody.notes) if len(melody.bars) else bars_of([(0.0, 4, 4)], end)
    frames = frames_of(melody.notes, bars, melody.tempo.quarters_per_minute())
    key = key or key_of(melody)
    parts = [part for part in (prefix, constraints) if part is not None and len(part)]
    given = np.concatenate(parts) if parts else np.zeros(0, CHORD_DTYPE)
    fixed = _fixed(given, frames, key.tonic)
    plan = _Plan(fixed.copy(), _opening(frames, key, fixed) if settings.guarded else None, _silence(frames))
    if settings.guarded:
        plan = replace(plan, fixed=_with_end(fixed, melody, frames, key))
    chords, nats = sample(own, frames, key, plan, settings)
    found: dict[bytes, tuple[ChordTable, float]] = {}
    for one, value in zip(chords, nats, strict=True):
        if settings.guarded:
            value = value - penalties(one, melody.notes, frames, key)
        absolute = one.copy()
        for column, none in ((0, NO_ROOT), (2, NO_BASS)):
            absolute[:, column] = np.where(one[:, column] < none, (one[:, column] + key.tonic) % 12, none)
        table = overlaid(chord_table(absolute, frames), given)
        found.setdefault(table.tobytes(), (table, float(value)))
    return sorted(found.values(), key=lambda pair: -pair[1])


def key_of(melody: Piece) -> Key:
    """The key of a tune: of those of its signature the likelier, unless another fits much better."""
    best = estimate_key(melody.notes)
    if not melody.key_signatures:
        return best
    scores = key_scores(melody.notes)
    fifths = melody.key_signatures[0][1]
    major, minor = fifths * 7 % 12, (fifths * 7 + 9) % 12
    written = max((Key(major, "major"), Key(minor, "minor")), key=lambda one: _score(scores, one))
    return best if _score(scores, best) > _score(scores, written) + SIGNATURE else written


def _score(scores: NDArray[np.float64], key: Key) -> float:
    return float(scores[int(key.mode == "minor"), key.tonic])


# --- what is decided beforehand -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """``fixed`` (frames, 3) root, quality, bass from the tonic, or FREE; ``opening`` (12 x qualities,) what may come first;
    ``silence`` (frames,) where there may be none."""

    fixed: NDArray[np.int64]
    opening: NDArray[np.bool_] | None
    silence: NDArray[np.bool_]


def _fixed(given: ChordTable, frames: Frames, tonic: int) -> NDArray[np.int64]:
    """The chord that is given for each frame, from the tonic, (frames, 3)."""
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
    """The classes of chords that may come first, or None for all."""
    return None if fixed[0, 0] != FREE else opening_chords(frames, key)


def _silence(frames: Frames) -> NDArray[np.bool_]:
    """Where there may be no chord: where the tune rests, or in a pick-up."""
    pickup = (frames.bar == 0) & (frames.place[0] > 0)
    sounds = frames.sound.sum((1, 2)) > 0
    before = (np.cumsum(sounds) == 0) & (frames.bar == 0)
    return np.asarray(((frames.tone == REST) & ~sounds) | pickup | before)


def _with_end(fixed: NDArray[np.int64], melody: Piece, frames: Frames, key: Key) -> NDArray[np.int64]:
    """What is fixed, and the tonic under the last note where that is of its triad."""
    fixed = fixed.copy()
    first = settles(melody.notes, frames, key)
    if first is not None and (fixed[first:, 0] == FREE).all():
        fixed[first:] = 0, int(key.mode == "minor"), 0
    return fixed


def overlaid(table: ChordTable, given: ChordTable) -> ChordTable:
    """A chord table in which given spans stand as they are; a given bass of -1 takes the table's own."""
    end = float(table["start"][-1] + table["length"][-1])
    edges = np.unique(np.concatenate([table["start"], given["start"], given["start"] + given["length"], [end]]))
    edges = edges[(edges >= table["start"][0] - 1e-4) & (edges <= end + 1e-4)]
    rows = np.zeros(len(edges) - 1, CHORD_DTYPE)
    rows["start"], rows["length"] = edges[:-1], np.diff(edges)
    rows = rows[rows["length"] > 1e-3]
    for row in rows:
        middle = float(row["start"] + row["length"] / 2)
        own = table[int(np.searchsorted(table["start"], middle, side="right")) - 1]
        at = np.flatnonzero((given["start"] <= middle) & (given["start"] + given["length"] > middle))
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


# --- sampling -------------------------------------------------------------------------------------------------------------


def melody_batch(
    frames: Frames, key: Key, style: list[int], sung: bool, rate: int, hints: NDArray[np.int64]
) -> net.MelodyBatch:
    """One melody as the encoder reads it, (1, frames, ...)."""
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


class _Stepper:
    """The decoder, frame by frame, for one melody and many samples."""

    def __init__(self, model: net.Harmoniser, melody: net.MelodyBatch, count: int) -> None:
        self.model, c = model, model.config
        encoded = model.encode(melody)
        self.weight, self.bias = model.get_parameter("decoder.weight_hh_l0"), model.get_parameter("decoder.bias_hh_l0")
        weight = model.get_parameter("decoder.weight_ih_l0")
        told = weight.shape[1] - 2 * c.encoder - c.style
        before, self.told, style = torch.split(weight, [2 * c.encoder, told, c.style], 1)
        self.fixed = encoded.states[0] @ before.T + encoded.style[0] @ style.T + model.get_parameter("decoder.bias_ih_l0")
        self.windows = encoded.windows[0]
        roots = torch.arange(12).expand(len(self.windows), 12)
        self.fit = model.fit_melody(net.rolled(self.windows[:, None].expand(-1, 12, -1), roots))
        self.states = torch.zeros(count, c.decoder)

    def step(self, frame: int, before: net.History) -> None:
        """Go on by a frame."""
        model = self.model
        root = before.root.clamp(max=NO_ROOT)
        heard = net.rolled(self.windows[frame].expand(len(root), -1), root) * (root < NO_ROOT)[:, None]
        told = [model.chord_root(before.root), model.chord_quality(before.quality), model.chord_bass(before.bass)]
        x = torch.cat([*told, model.since(before.since), heard], 1)
        given = (self.fixed[frame] + x @ self.told.T).chunk(3, 1)
        own = (self.states @ self.weight.T + self.bias).chunk(3, 1)
        reset, update = torch.sigmoid(given[0] + own[0]), torch.sigmoid(given[1] + own[1])
        new = torch.tanh(given[2] + reset * own[2])
        self.states = new + update * (self.states - new)

    def chords(self, frame: int, before: net.History, rows: Tensor) -> Tensor:
        """Scores of new chords, for some of the samples."""
        old = net.History(before.root[rows], before.quality[rows], before.bass[rows], before.since[rows])
        melody = self.fit[frame].expand(len(rows), -1, -1)
        return self.model.chord_scores(self.states[rows], melody, old)

    def basses(self, frame: int, before: net.History, rows: Tensor, chord: Tensor) -> Tensor:
        """Scores of the new chords' basses."""
        old = net.History(before.root[rows], before.quality[rows], before.bass[rows], before.since[rows])
        return self.model.bass_logits(self.states[rows], self.windows[frame].expand(len(rows), -1), old, chord)


@torch.inference_mode()
def sample(
    own: Shipped, frames: Frames, key: Key, plan: _Plan, settings: Settings
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sample chords from the tonic, (count, frames, 3), and their log probability, nats a frame, (count,)."""
    count, time, config = settings.count, len(frames), own.model.config
    rng = torch.Generator().manual_seed(settings.seed)
    genre = own.genre(settings)
    styles = [config.style_ids(settings.composer, settings.era, genre)]
    if settings.strength != 1.0:
        styles.append(config.style_ids("unknown", "unknown", genre))
    rate = net.rate_class(settings.rate)
    steppers = [
        _Stepper(own.model, melody_batch(frames, key, style, settings.sung, rate, plan.fixed), count) for style in styles
    ]

    def mixed(logits: list[Tensor]) -> Tensor:
        return logits[0] if len(logits) == 1 else logits[1] + settings.strength * (logits[0] - logits[1])

    now = torch.tensor([[net.START, net.START_QUALITY, net.START]]).repeat(count, 1)
    since = torch.zeros(count, dtype=torch.long)
    result = torch.zeros(time, count, 3, dtype=torch.long)
    nats, begun = torch.zeros(count), torch.zeros(count, dtype=torch.bool)
    tones = _bass_mask()
    for frame in range(time):
        before = net.History(now[:, 0], now[:, 1], now[:, 2], net.since_class(since))
        for stepper in steppers:
            stepper.step(frame, before)
        root, quality, bass = plan.fixed[frame].tolist()
        odds = mixed([own.model.change_logits(s.states) for s in steppers])
        if frame == 0:
            change = torch.ones(count, dtype=torch.bool)
        elif root != FREE:
            change = (now[:, 0] != root) | (now[:, 1] != quality) | ((bass != FREE) & (now[:, 2] != bass))
        else:
            change = torch.rand(count, generator=rng) < torch.sigmoid(odds / settings.temperature)
        if frame:
            nats += torch.where(change, F.logsigmoid(odds), F.logsigmoid(-odds))
        since += 1
        rows = torch.nonzero(change)[:, 0]
        if len(rows):
            logits = mixed([s.chords(frame, before, rows) for s in steppers])
            if root != FREE:
                chord = torch.full((len(rows),), root * 9 + quality if root < NO_ROOT else net.NO_CHORD)
                nats[rows] += logits.log_softmax(1).gather(1, chord[:, None])[:, 0]
            else:
                allowed = torch.ones(len(rows), net.CHORDS, dtype=torch.bool)
                allowed[:, net.NO_CHORD] = bool(plan.silence[frame])
                if plan.opening is not None:
                    allowed[:, : net.NO_CHORD] &= torch.from_numpy(plan.opening) | begun[rows, None]
                chord = _draw(logits, allowed, settings, rng)
                nats[rows] += logits.log_softmax(1).gather(1, chord[:, None])[:, 0]
            named = chord < net.NO_CHORD
            low = mixed([s.basses(frame, before, rows, chord) for s in steppers])
            above = _draw(low, tones[torch.where(named, chord % 9, 0)], settings, rng)
            new_root = torch.where(named, chord // 9, NO_ROOT)
            if bass != FREE and root < NO_ROOT:
                above = (bass - new_root) % 12
            nats[rows] += torch.where(named, low.log_softmax(1).gather(1, above[:, None])[:, 0], 0.0)
            now = now.clone()
            begun[rows] |= named
            now[rows, 0] = new_root
            now[rows, 1] = torch.where(named, chord % 9, NO_QUALITY)
            now[rows, 2] = torch.where(named, (new_root + above) % 12, NO_BASS)
            since[rows] = 1
        result[frame] = now
    return result.transpose(0, 1).numpy(), (nats / time).double().numpy()


def _bass_mask() -> Tensor:
    """(qualities, 12) the semitones above the root that are tones of a chord."""
    from styletransfer.score.chords import INTERVALS

    return torch.tensor([[step in tones for step in range(12)] for tones in INTERVALS])


def _draw(logits: Tensor, allowed: Tensor, settings: Settings, rng: torch.Generator) -> Tensor:
    """Draw one of each row (n, classes), of those that are allowed and of the likeliest ``top`` share."""
    scaled = (logits / settings.temperature).masked_fill(~allowed, -torch.inf).softmax(1)
    ordered, index = scaled.sort(1, descending=True)
    kept = ordered.masked_fill(ordered.cumsum(1) - ordered >= settings.top, 0.0)
    return index.gather(1, torch.multinomial(kept, 1, generator=rng))[:, 0]
