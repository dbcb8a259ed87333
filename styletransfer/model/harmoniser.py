"""A network that reads a whole melody and predicts chords, frame by frame.

The encoder is a bidirectional GRU over frames of a beat (:mod:`styletransfer.model.chord_frames`);
the decoder is a GRU that is given the chords so far and predicts at each frame whether another
chord begins, which (root and quality) and over which bass. All pitch classes are counted from the
tonic. In addition, one small network judges each of the 12 roots by the melody as seen from that
root, so that what was learnt about a dominant holds for every chord's own dominant.

Chords of some frames may be shown to the encoder beforehand (:attr:`MelodyBatch.hints`): a chord
that a user has fixed, or the last one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
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
"""The root and the bass of a hidden frame; the quality is :data:`HIDDEN_QUALITY`."""
HIDDEN_QUALITY = 10
NO_CHORD = 12 * len(QUALITIES)
"""The class of a frame without a chord; the class of a chord is root x 9 + quality."""
CHORDS = NO_CHORD + 1
SINCE = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24)
"""Upper bounds of the classes of frames since a chord began."""
RATES = (0.6, 0.9, 1.2, 1.6, 2.2, 3.2)
"""Upper bounds of the classes of chords per bar; class 0 stands for an unknown rate."""
WINDOWS = ((0, 1), (1, 2), (2, 4), (-1, 0))
"""Spans of frames, counted from the present one, over which a root is judged.

The first half of the present frame is judged, too.
"""
HEARD = 12 * (len(WINDOWS) + 1)
GENRES = ("song", "hymn", "keyboard")


@dataclass(frozen=True)
class HarmoniserConfig:
    """The sizes of a harmoniser.

    ``composers``, ``eras`` and ``genres``: the names that have an embedding; all others are
    unknown. ``encoder``: its units in each direction, in ``layers``. ``decoder``: its units.
    ``fit``: units that judge a root. ``style``: the width of the embeddings of styles.
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
        """Return the indices of the three embeddings, 0 for unknown names."""
        names = ((composer, self.composers), (era, self.eras), (genre, self.genres))
        return [known.index(name) + 1 if name in known else 0 for name, known in names]


@dataclass
class MelodyBatch:
    """Melodies as the encoder reads them, pitch classes counted from the tonic.

    ``sound``: floats, shape (batch, time, 2, 12). ``numbers``: floats, (batch, time, NUMBERS).
    ``tone``, ``place`` and ``metre``: (batch, time). ``style``: composer, era, genre, (batch, 3).
    ``mode``: 0 major, 1 minor, (batch,). ``sung``: whether the tune is a part of its own, (batch,).
    ``rate``: the class of chords per bar, (batch,). ``hints``: root, quality, bass, (batch, time,
    3).
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
    """Melodies as the decoder reads them.

    ``states``: shape (batch, time, 2 x encoder). ``windows``: the sound over :data:`WINDOWS`,
    (batch, time, HEARD). ``style``: (batch, style).
    """

    states: Tensor
    windows: Tensor
    style: Tensor


@dataclass
class History:
    """The chord before each frame; ``since``: the class of its age."""

    root: Tensor
    quality: Tensor
    bass: Tensor
    since: Tensor


class Harmoniser(nn.Module):
    """The network; see the module's docstring."""

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

    def encode(self, melody: MelodyBatch) -> Encoded:
        """Read melodies in both directions."""
        ids = [*melody.style.unbind(1), melody.mode, melody.sung, melody.rate]
        style = torch.stack(
            [table(index) for table, index in zip(self.styles, ids, strict=True)]
        ).sum(0)
        hints = [self.hint_root(melody.hints[..., 0]), self.hint_quality(melody.hints[..., 1])]
        hints.append(self.hint_bass(melody.hints[..., 2]))
        time = melody.tone.shape[1]
        places = [self.tone(melody.tone), self.place(melody.place), self.metre(melody.metre)]
        every = style[:, None].expand(-1, time, -1)
        x = torch.cat([melody.sound.flatten(2), melody.numbers, *places, *hints, every], -1)
        states = self.encoder(x)[0]
        return Encoded(self.drop(states), windows_of(melody.sound), style)

    def history(self, encoded: Encoded, before: History) -> Tensor:
        """Embed what precedes each frame, shape (batch, time, features).

        The decoder reads it together with the encoder's states.
        """
        root = before.root.clamp(max=NO_ROOT)
        heard = rolled(encoded.windows, root) * (root < NO_ROOT)[..., None]
        chord = [
            self.chord_root(before.root),
            self.chord_quality(before.quality),
            self.chord_bass(before.bass),
        ]
        style = encoded.style[:, None].expand(*before.root.shape, -1)
        return torch.cat([*chord, self.since(before.since), heard, style], -1)

    def decode(self, encoded: Encoded, before: History) -> Tensor:
        """Return the decoder's states where all chords are known, (batch, time, decoder)."""
        states: Tensor = self.decoder(
            torch.cat([encoded.states, self.history(encoded, before)], -1)
        )[0]
        return states

    def change_logits(self, states: Tensor) -> Tensor:
        """Return the log odds that another chord begins, shape (...)."""
        logits: Tensor = self.change(self.drop(states))[..., 0]
        return logits

    def chord_logits(self, states: Tensor, windows: Tensor, before: History) -> Tensor:
        """Score the chords that may begin, shape (frames, CHORDS).

        Args:
            states: shape (frames, decoder).
            windows: shape (frames, HEARD).
            before: the chords so far, shape (frames,).
        """
        states = self.drop(states)
        roots = torch.arange(12, device=states.device)
        melody = self.fit_melody(
            rolled(windows[:, None].expand(-1, 12, -1), roots.expand(len(states), 12))
        )
        return self.chord_scores(states, melody, before)

    def chord_scores(self, states: Tensor, melody: Tensor, before: History) -> Tensor:
        """Score chords by the melody as seen from each root, shape (frames, 12, fit)."""
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
        """Score basses by semitones above the new chord's root, shape (frames, 12)."""
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
    """A decoder that goes frame by frame, for one melody and many samples."""

    def __init__(self, model: Harmoniser, melody: MelodyBatch, count: int) -> None:
        self.model, c = model, model.config
        encoded = model.encode(melody)
        self.weight, self.bias = (
            model.get_parameter("decoder.weight_hh_l0"),
            model.get_parameter("decoder.bias_hh_l0"),
        )
        weight = model.get_parameter("decoder.weight_ih_l0")
        chords = weight.shape[1] - 2 * c.encoder - c.style
        before, self.past, style = torch.split(weight, [2 * c.encoder, chords, c.style], 1)
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
        """Advance by a frame."""
        model = self.model
        root = before.root.clamp(max=NO_ROOT)
        heard = rolled(self.windows[frame].expand(len(root), -1), root) * (root < NO_ROOT)[:, None]
        chord = [
            model.chord_root(before.root),
            model.chord_quality(before.quality),
            model.chord_bass(before.bass),
        ]
        x = torch.cat([*chord, model.since(before.since), heard], 1)

        given = (self.fixed[frame] + x @ self.past.T).chunk(3, 1)
        own = (self.states @ self.weight.T + self.bias).chunk(3, 1)
        reset, update = torch.sigmoid(given[0] + own[0]), torch.sigmoid(given[1] + own[1])
        new = torch.tanh(given[2] + reset * own[2])
        self.states = new + update * (self.states - new)

    def chords(self, frame: int, before: History, rows: Tensor) -> Tensor:
        """Score new chords, for some of the samples."""
        old = History(
            before.root[rows], before.quality[rows], before.bass[rows], before.since[rows]
        )
        melody = self.fit[frame].expand(len(rows), -1, -1)
        return self.model.chord_scores(self.states[rows], melody, old)

    def basses(self, frame: int, before: History, rows: Tensor, chord: Tensor) -> Tensor:
        """Score the new chords' basses, for some of the samples."""
        old = History(
            before.root[rows], before.quality[rows], before.bass[rows], before.since[rows]
        )
        return self.model.bass_logits(
            self.states[rows], self.windows[frame].expand(len(rows), -1), old, chord
        )


def windows_of(sound: Tensor) -> Tensor:
    """Return the share of each window in which each pitch class sounds.

    Args:
        sound: shape (batch, time, 2, 12).

    Returns:
        Shape (batch, time, HEARD): the first half of the frame, then :data:`WINDOWS`.
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
    """Count windows, shape (..., 12 x windows), from a root each, shape (...)."""
    shape = windows.shape
    index = (torch.arange(12, device=windows.device) + root[..., None]) % 12
    index = index[..., None, :].expand(*shape[:-1], shape[-1] // 12, 12)
    return windows.reshape(*shape[:-1], shape[-1] // 12, 12).gather(-1, index).reshape(shape)


def since_class(frames: Tensor) -> Tensor:
    """Return the class of a number of frames since a chord began."""
    return torch.bucketize(frames, torch.tensor(SINCE, device=frames.device))


def rate_class(chords_a_bar: float | None) -> int:
    """Return the class of a number of chords per bar, 0 where it is unknown."""
    if chords_a_bar is None:
        return 0
    return 1 + sum(chords_a_bar > bound for bound in RATES)


def class_of(root: Tensor, quality: Tensor) -> Tensor:
    """Return the class of a chord of this root and quality."""
    return torch.where(
        root < NO_ROOT, root * len(QUALITIES) + quality.clamp(max=NO_QUALITY - 1), NO_CHORD
    )


def load_harmoniser(folder: Path) -> tuple[Harmoniser, dict[str, Any]]:
    """Load the network of a folder, and its manifest.

    Raises:
        InputError: where it is no such folder, or its weights don't match their checksum or this
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
    """Make the manifest of a harmoniser."""
    checksum = hashlib.sha256(weights).hexdigest()
    return {
        "kind": KIND,
        "version": VERSION,
        "model": asdict(config),
        "sha256": {"model.safetensors": checksum},
        **more,
    }
