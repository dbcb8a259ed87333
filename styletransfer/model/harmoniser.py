"""A network that reads a whole melody in both directions and tells which chords may go with it,
frame after frame.

The encoder is a bidirectional GRU over frames of a beat (:mod:`styletransfer.model.chord_frames`);
the decoder a GRU that knows the chords so far and says at each frame whether another begins, which
(root and quality) and over which bass. All pitch classes are counted from the tonic. Beside the
state, each of the 12 roots is judged by one small network that sees the melody from that root, so
that what was learnt about a dominant holds for every chord's own dominant.

Chords of some frames may be shown to the encoder beforehand (:class:`Hints`): a chord that a user
has fixed, or the last one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load
from torch import Tensor, nn

from styletransfer.errors import InputError
from styletransfer.model.chord_frames import NO_BASS, NO_QUALITY, NO_ROOT, NUMBERS, PLACES
from styletransfer.music.qualities import QUALITIES
from styletransfer.tokens.controls import METRES

KIND = "styletransfer-harmoniser"
VERSION = 1

START = 13
"""The root and the bass before the first frame; the quality is :data:`START_QUALITY`."""
START_QUALITY = 10
HIDDEN = 13
"""The root and the bass of a frame that isn't shown; the quality is :data:`HIDDEN_QUALITY`."""
HIDDEN_QUALITY = 10
NO_CHORD = 12 * len(QUALITIES)
"""The class of a frame without a chord; of others it is root x 9 + quality."""
CHORDS = NO_CHORD + 1
SINCE = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
"""Frames since a chord began, as upper bounds of classes."""
RATES = (0.6, 0.9, 1.2, 1.6, 2.2, 3.2)
"""Chords a bar, as upper bounds of classes; class 0 says that they aren't told."""
WINDOWS = ((0, 1), (1, 2), (2, 4), (-1, 0))
"""Frames, from the present one, over which a root is judged, beside the first half of the present
one.
"""
HEARD = 12 * (len(WINDOWS) + 1)
GENRES = ("song", "hymn", "keyboard")


@dataclass(frozen=True)
class HarmoniserConfig:
    """Sizes: ``encoder`` units of each direction, its ``layers``, ``decoder`` units, ``fit`` units
    that judge a root.

    ``composers``, ``eras`` and ``genres`` are the names that have an embedding; all others are
    unknown.
    """

    composers: tuple[str, ...]
    eras: tuple[str, ...]
    genres: tuple[str, ...] = GENRES
    encoder: int = 96
    layers: int = 2
    decoder: int = 192
    fit: int = 48
    style: int = 32
    dropout: float = 0.2

    def style_ids(self, composer: str, era: str, genre: str) -> list[int]:
        """Indices of the three embeddings, 0 for unknown."""
        names = ((composer, self.composers), (era, self.eras), (genre, self.genres))
        return [known.index(name) + 1 if name in known else 0 for name, known in names]


@dataclass
class MelodyBatch:
    """Melodies, pitch classes counted from the tonic: what the encoder reads.

    ``sound`` (batch, time, 2, 12), ``numbers`` (batch, time, NUMBERS) floats; ``tone``, ``place``,
    ``metre`` (batch, time); ``style`` (batch, 3) composer, era, genre; ``mode`` (batch,) 0 major, 1
    minor; ``sung`` (batch,) whether the tune is a part of its own; ``rate`` (batch,) chords a bar;
    ``hints`` (batch, time, 3) root, quality, bass.
    """

    sound: Tensor
    numbers: Tensor
    tone: Tensor
    place: Tensor
    metre: Tensor
    style: Tensor
    mode: Tensor
    sung: Tensor
    rate: Tensor
    hints: Tensor


@dataclass
class Encoded:
    """What the decoder needs of melodies: ``states`` (batch, time, 2 x encoder), ``sound`` over the
    windows (batch, time, 60) and the ``style`` (batch, style)."""

    states: Tensor
    windows: Tensor
    style: Tensor


@dataclass
class History:
    """The chords before each frame: ``root``, ``quality``, ``bass`` and class ``since`` when, each
    of one shape.
    """

    root: Tensor
    quality: Tensor
    bass: Tensor
    since: Tensor = field()


class Harmoniser(nn.Module):
    """The network; see the module."""

    def __init__(self, config: HarmoniserConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.tone = nn.Embedding(13, 32)
        self.place = nn.Embedding(PLACES, 16)
        self.metre = nn.Embedding(len(METRES), 16)
        self.hint_root, self.hint_quality, self.hint_bass = (
            nn.Embedding(14, 24),
            nn.Embedding(11, 16),
            nn.Embedding(14, 24),
        )
        sizes = (len(c.composers), len(c.eras), len(c.genres), 1, 1, len(RATES) + 1)
        self.styles = nn.ModuleList(nn.Embedding(size + 1, c.style) for size in sizes)
        inputs = 24 + NUMBERS + 32 + 16 + 16 + 64 + c.style
        self.encoder = nn.GRU(
            inputs,
            c.encoder,
            c.layers,
            batch_first=True,
            bidirectional=True,
            dropout=c.dropout if c.layers > 1 else 0.0,
        )
        self.chord_root, self.chord_quality, self.chord_bass = (
            nn.Embedding(14, 24),
            nn.Embedding(11, 16),
            nn.Embedding(14, 24),
        )
        self.since = nn.Embedding(len(SINCE) + 1, 16)
        self.decoder = nn.GRU(
            2 * c.encoder + 64 + 16 + HEARD + c.style, c.decoder, batch_first=True
        )
        self.change = nn.Sequential(nn.Linear(c.decoder, 64), nn.ReLU(), nn.Linear(64, 1))
        self.chord = nn.Linear(c.decoder, CHORDS)
        self.fit_melody = nn.Linear(HEARD, c.fit)
        self.fit_state = nn.Linear(c.decoder, c.fit, bias=False)
        self.fit_root = nn.Embedding(13 * 11, c.fit)
        self.fit_bass = nn.Embedding(13, c.fit)
        self.fit_out = nn.Linear(c.fit, len(QUALITIES))
        self.low_state = nn.Linear(c.decoder, 64)
        self.low_chord = nn.Embedding(CHORDS, 64)
        self.low_quality = nn.Embedding(len(QUALITIES) + 1, 64)
        self.low_before = nn.Embedding(13, 64)
        self.low_melody = nn.Linear(24, 64, bias=False)
        self.low_out = nn.Linear(64, 12)
        self.drop = nn.Dropout(c.dropout)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.3)

    # --- the melody
    # -----------------------------------------------------------------------------------------------------

    def encode(self, melody: MelodyBatch) -> Encoded:
        """Read melodies in both directions."""
        ids = [*melody.style.unbind(1), melody.mode, melody.sung, melody.rate]
        style = torch.stack(
            [table(index) for table, index in zip(self.styles, ids, strict=True)]
        ).sum(0)
        hints = [self.hint_root(melody.hints[..., 0]), self.hint_quality(melody.hints[..., 1])]
        hints.append(self.hint_bass(melody.hints[..., 2]))
        time = melody.tone.shape[1]
        told = [self.tone(melody.tone), self.place(melody.place), self.metre(melody.metre), *hints]
        x = torch.cat(
            [melody.sound.flatten(2), melody.numbers, *told, style[:, None].expand(-1, time, -1)],
            -1,
        )
        states = self.encoder(x)[0]
        return Encoded(self.drop(states), windows_of(melody.sound), style)

    # --- the chords
    # -----------------------------------------------------------------------------------------------------

    def history(self, encoded: Encoded, before: History) -> Tensor:
        """What the decoder reads at each frame beside the encoder's states, (batch, time, ...)."""
        root = before.root.clamp(max=NO_ROOT)
        heard = rolled(encoded.windows, root) * (root < NO_ROOT)[..., None]
        told = [
            self.chord_root(before.root),
            self.chord_quality(before.quality),
            self.chord_bass(before.bass),
        ]
        style = encoded.style[:, None].expand(*before.root.shape, -1)
        return torch.cat([*told, self.since(before.since), heard, style], -1)

    def decode(self, encoded: Encoded, before: History) -> Tensor:
        """The decoder's states, (batch, time, decoder), where all chords are known."""
        states: Tensor = self.decoder(
            torch.cat([encoded.states, self.history(encoded, before)], -1)
        )[0]
        return states

    def change_logits(self, states: Tensor) -> Tensor:
        """The log odds that another chord begins, (...)."""
        logits: Tensor = self.change(self.drop(states))[..., 0]
        return logits

    def chord_logits(self, states: Tensor, windows: Tensor, before: History) -> Tensor:
        """Scores of the chords to begin, (n, CHORDS), for states (n, decoder) and windows (n,
        60).
        """
        states = self.drop(states)
        roots = torch.arange(12, device=states.device)
        melody = self.fit_melody(
            rolled(windows[:, None].expand(-1, 12, -1), roots.expand(len(states), 12))
        )
        return self.chord_scores(states, melody, before)

    def chord_scores(self, states: Tensor, melody: Tensor, before: History) -> Tensor:
        """The same from what the melody is to each root, (n, 12, fit)."""
        roots = torch.arange(12, device=states.device)
        known = (before.root < NO_ROOT)[:, None]
        from_root = torch.where(known, (roots - before.root[:, None]) % 12, 12)
        low = before.bass[:, None]
        from_bass = torch.where(low < NO_BASS, (roots - low) % 12, 12)
        hidden = (
            melody
            + self.fit_root(from_root * 11 + before.quality[:, None])
            + self.fit_bass(from_bass)
        )
        hidden = F.relu(hidden + self.fit_state(states)[:, None])
        fits = self.fit_out(hidden).flatten(1)
        logits: Tensor = self.chord(states)
        return logits + F.pad(fits, (0, 1))

    def bass_logits(
        self, states: Tensor, windows: Tensor, before: History, chord: Tensor
    ) -> Tensor:
        """Scores of the bass by semitones above the new chord's root, (n, 12)."""
        root = torch.where(chord < NO_CHORD, chord // len(QUALITIES), 0)
        quality = torch.where(chord < NO_CHORD, chord % len(QUALITIES), len(QUALITIES))
        step = torch.where(before.bass < NO_BASS, (before.bass - root) % 12, 12)
        hidden = (
            self.low_state(self.drop(states)) + self.low_chord(chord) + self.low_quality(quality)
        )
        hidden = hidden + self.low_before(step) + self.low_melody(rolled(windows, root)[:, :24])
        logits: Tensor = self.low_out(F.relu(hidden))
        return logits


class Stepper:
    """The decoder, frame by frame, for one melody and many samples."""

    def __init__(self, model: Harmoniser, melody: MelodyBatch, count: int) -> None:
        self.model, c = model, model.config
        encoded = model.encode(melody)
        self.weight, self.bias = (
            model.get_parameter("decoder.weight_hh_l0"),
            model.get_parameter("decoder.bias_hh_l0"),
        )
        weight = model.get_parameter("decoder.weight_ih_l0")
        told = weight.shape[1] - 2 * c.encoder - c.style
        before, self.told, style = torch.split(weight, [2 * c.encoder, told, c.style], 1)
        self.fixed = (
            encoded.states[0] @ before.T
            + encoded.style[0] @ style.T
            + model.get_parameter("decoder.bias_ih_l0")
        )
        self.windows = encoded.windows[0]
        roots = torch.arange(12).expand(len(self.windows), 12)
        self.fit = model.fit_melody(rolled(self.windows[:, None].expand(-1, 12, -1), roots))
        self.states = torch.zeros(count, c.decoder)

    def step(self, frame: int, before: History) -> None:
        """Go on by a frame."""
        model = self.model
        root = before.root.clamp(max=NO_ROOT)
        heard = rolled(self.windows[frame].expand(len(root), -1), root) * (root < NO_ROOT)[:, None]
        told = [
            model.chord_root(before.root),
            model.chord_quality(before.quality),
            model.chord_bass(before.bass),
        ]
        x = torch.cat([*told, model.since(before.since), heard], 1)
        given = (self.fixed[frame] + x @ self.told.T).chunk(3, 1)
        own = (self.states @ self.weight.T + self.bias).chunk(3, 1)
        reset, update = torch.sigmoid(given[0] + own[0]), torch.sigmoid(given[1] + own[1])
        new = torch.tanh(given[2] + reset * own[2])
        self.states = new + update * (self.states - new)

    def chords(self, frame: int, before: History, rows: Tensor) -> Tensor:
        """Scores of new chords, for some of the samples."""
        old = History(
            before.root[rows], before.quality[rows], before.bass[rows], before.since[rows]
        )
        melody = self.fit[frame].expand(len(rows), -1, -1)
        return self.model.chord_scores(self.states[rows], melody, old)

    def basses(self, frame: int, before: History, rows: Tensor, chord: Tensor) -> Tensor:
        """Scores of the new chords' basses."""
        old = History(
            before.root[rows], before.quality[rows], before.bass[rows], before.since[rows]
        )
        return self.model.bass_logits(
            self.states[rows], self.windows[frame].expand(len(rows), -1), old, chord
        )


def windows_of(sound: Tensor) -> Tensor:
    """How much each pitch class sounds over :data:`WINDOWS`, as shares, (batch, time, HEARD), from
    (batch, time, 2, 12).
    """
    time = sound.shape[1]
    total = F.pad(sound.mean(2).cumsum(1), (0, 0, 1, 0))
    at = torch.arange(time, device=sound.device)
    parts = [sound[:, :, 0]]
    for start, stop in WINDOWS:
        parts.append(
            (total[:, (at + stop).clamp(0, time)] - total[:, (at + start).clamp(0, time)])
            / (stop - start)
        )
    return torch.cat(parts, -1)


def rolled(windows: Tensor, root: Tensor) -> Tensor:
    """Windows (..., 12 x n) counted from a root (...) each."""
    shape = windows.shape
    index = (torch.arange(12, device=windows.device) + root[..., None]) % 12
    index = index[..., None, :].expand(*shape[:-1], shape[-1] // 12, 12)
    return windows.reshape(*shape[:-1], shape[-1] // 12, 12).gather(-1, index).reshape(shape)


def since_class(frames: Tensor) -> Tensor:
    """The class of a number of frames since a chord began."""
    return torch.bucketize(frames, torch.tensor(SINCE, device=frames.device))


def rate_class(chords_a_bar: float | None) -> int:
    """The class of a number of chords a bar, 0 where it isn't told."""
    if chords_a_bar is None:
        return 0
    return 1 + sum(chords_a_bar > bound for bound in RATES)


def class_of(root: Tensor, quality: Tensor) -> Tensor:
    """The class of a chord from root and quality."""
    return torch.where(
        root < NO_ROOT, root * len(QUALITIES) + quality.clamp(max=NO_QUALITY - 1), NO_CHORD
    )


def load_harmoniser(folder: Path) -> tuple[Harmoniser, dict[str, Any]]:
    """The network of a folder, and its manifest.

    Raises:
        InputError: where the folder is none, or its weights don't match their checksum or this
        version.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
        data = (folder / "model.safetensors").read_bytes()
        if manifest["kind"] != KIND or manifest["version"] != VERSION:
            raise ValueError(f"kind {manifest['kind']}, version {manifest['version']}")
        rows: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in manifest["model"].items()
        }
        config, checksum = HarmoniserConfig(**rows), manifest["sha256"]["model.safetensors"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: not a harmoniser of this version ({error}); install the package again."
        ) from error
    if hashlib.sha256(data).hexdigest() != checksum:
        raise InputError(
            f"{folder}: damaged, its checksum is not the manifest's; install the package again."
        )
    model = Harmoniser(config)
    try:
        model.load_state_dict({name: tensor.float() for name, tensor in load(data).items()})
    except RuntimeError as error:
        raise InputError(
            f"{folder}: its weights are not those of this version's network; install it again."
        ) from error
    model.train(False)
    return model, manifest


def manifest_of(config: HarmoniserConfig, weights: bytes, **more: Any) -> dict[str, Any]:
    """What the manifest of a harmoniser says."""
    checksum = hashlib.sha256(weights).hexdigest()
    return {
        "kind": KIND,
        "version": VERSION,
        "model": asdict(config),
        "sha256": {"model.safetensors": checksum},
        **more,
    }
