"""Measure how well the notes of a recorded melody are found.

    python -m benchmarks.audio [--more FOLDER] [--write benchmarks/audio.md]

The tunes of `eval/melodies`, the examples, and as many MIDI files of the folder as 50 tunes need
are synthesised as a voice, a flute and a whistle: for each the first 15 seconds. The sounds have
vibrato, glides, soft beginnings of notes, breath, noise 30 dB below, a reverb of 0.4 s, a tuning up
to a fifth of a semitone off, and a tempo that varies by 5 %. Notes are right if their onset lies
within 50 ms and their pitch within 50 cents of the true one (`mir_eval.transcription`, ends
ignored); the mean F1 over tunes, with a 95 % bootstrap interval, and the tune that is worst.

Rhythm: the share of the steps from onset to onset that are as long as written, up to one factor
for the whole tune; level: the share of tunes for which that factor is 1, whose quarters are
quarters. In seconds: tunes whose beat was not trusted. The constants were set on voices of ten
tunes (notes) and twenty (beats) of `eval/melodies`; the other tunes and sounds were not used.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from styletransfer.configuration import recipe_parser
from styletransfer.evaluation.markdown import interval, table
from styletransfer.formats.audio import piece_of
from styletransfer.formats.pitch_notes import Track, notes_in
from styletransfer.formats.read import read_song
from styletransfer.formats.sound import track_pitch
from styletransfer.formats.tunes import EXAMPLES
from styletransfer.music.melody import marked
from styletransfer.music.notes import note_ends

Floats = NDArray[np.float64]

ROOT = Path(__file__).parents[1]
TUNES = 50
SECONDS = 15.0
RATE = 16_000
CONTROL = 1000  # how often a second pitch and loudness are set
RUBATO = 0.05
ONSET_JITTER = 0.01  # seconds, standard deviation
NOTE_CENTS = 12  # standard deviation of a note's pitch
TUNING = 0.2  # semitones by which all notes are off, at most
NOISE_DB = -30.0
REVERB = (0.4, 0.2)  # seconds until it is 60 dB lower, share of the sound


@dataclass(frozen=True)
class Voice:
    """How a sound is made.

    Attributes:
        median: the pitch to which tunes are transposed by octaves.
        vibrato: its depth in cents, and cycles a second.
        glide: seconds from one pitch to the next.
        dip: how quiet it becomes between notes, as an amplitude, and for how many seconds.
        harmonics: amplitudes of the first partials, before formants.
        formants: in Hz; none: the harmonics are as they are.
        breath: amplitude of the noise that goes with the sound.
    """

    median: int
    vibrato: tuple[float, float]
    glide: float
    dip: tuple[float, float]
    harmonics: tuple[float, ...]
    formants: tuple[float, ...] = ()
    breath: float = 0.01


VOICES = {
    "voice": Voice(
        57,
        (45, 5.5),
        0.06,
        (0.25, 0.05),
        tuple(1 / k for k in range(1, 17)),
        (700, 1200, 2600),
        0.02,
    ),
    "flute": Voice(74, (20, 5.0), 0.015, (0.2, 0.03), (1, 0.5, 0.25, 0.08, 0.04), (), 0.05),
    "whistle": Voice(86, (30, 6.0), 0.05, (0.3, 0.05), (1, 0.02), (), 0.08),
}


@dataclass(frozen=True)
class Tune:
    """A melody in seconds, each array of shape (notes,).

    ``pitch`` is in MIDI numbers; ``quarters`` are the written onsets.
    """

    name: str
    onset: Floats
    end: Floats
    pitch: NDArray[np.int64]
    quarters: Floats


def main(argv: list[str] | None = None) -> int:
    """Synthesise and transcribe all tunes, and print or write the table."""
    parser = recipe_parser(__doc__)
    parser.add_argument("--more", type=Path, help="a folder of MIDI files, as further tunes")
    parser.add_argument("--tracks", type=Path, help="a folder that keeps the tracks of pitch")
    parser.add_argument("--write", type=Path, help="the page to write")
    arguments = parser.parse_args(argv)

    found = tunes(arguments.more)
    rows = []
    for name in VOICES:
        scores = []
        for number, tune in enumerate(found):
            truth, track = tracked(tune, name, number, arguments.tracks)
            scores.append((f_measure(truth, track), *rhythm(truth, tune.quarters, track)))
            print(name, tune.name, np.round(scores[-1], 3), file=sys.stderr, flush=True)
        rows.append(_row(name, np.array(scores), found))

    head = ("sound", "tunes", "mean F1", "worst tune", "rhythm", "level", "in seconds")
    text = table(head, rows)
    print(text)
    if arguments.write:
        about = (__doc__ or "").split("\n\n", 1)[1].strip()
        arguments.write.write_text(f"# Melodies in recordings\n\n{about}\n\n{text}\n")
    return 0


def _row(name: str, scores: Floats, found: list[Tune]) -> tuple[str, ...]:
    """Make a sound's row of the table.

    It comes from F1, rhythm and factor of each tune, shape (tunes, 3).
    """
    values = scores[:, 0]
    means = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
    worst = int(values.argmin())
    beaten = scores[~np.isnan(scores[:, 1])]
    return (
        name,
        f"{len(values)}",
        interval(float(values.mean()), *np.quantile(means, (0.025, 0.975))),
        f"{found[worst].name}, {values[worst]:.2f}",
        f"{beaten[:, 1].mean():.3f}",
        f"{(beaten[:, 2] == 1).mean():.2f}",
        f"{len(scores) - len(beaten)}",
    )


def tunes(more: Path | None) -> list[Tune]:
    """Return the tunes that are synthesised."""
    files: list[Path | str] = sorted((ROOT / "eval" / "melodies").glob("*.abc"))
    files += sorted(EXAMPLES.keys() - {Path(file).stem for file in files})
    files += sorted(more.rglob("*.mid"))[: TUNES - len(files)] if more else []
    return [_tune(file) for file in files]


def _tune(file: Path | str) -> Tune:
    piece = marked(read_song(file))
    melody = piece.melody
    onset = piece.tempo.to_seconds(melody["onset"])
    end = piece.tempo.to_seconds(note_ends(melody))
    end[:-1] = np.minimum(end[:-1], onset[1:])
    keep = (onset - onset[0] < SECONDS) & (end - onset > 0.05)
    onset, end = onset[keep] - onset[0], end[keep] - onset[0]
    pitch, quarters = melody["pitch"][keep].astype(np.int64), melody["onset"][keep]
    return Tune(Path(file).stem, onset, end, pitch, quarters)


def synthesise(tune: Tune, voice: Voice, seed: int) -> tuple[Floats, Tune]:
    """Synthesise a tune.

    Returns:
        Its samples, at :data:`RATE`, and the tune as it sounds.
    """
    rng = np.random.default_rng(seed)
    truth = _played(tune, voice, rng)
    count = int((truth.end[-1] + 0.6) * RATE)
    time, slow = np.arange(count) / RATE, np.arange(0, count / RATE, 1 / CONTROL)
    frequency = 440 * 2 ** ((_contour(truth, voice, slow, rng) - 69) / 12)
    loudness = np.interp(time, slow, _envelope(truth, voice, slow))

    turn = np.exp(2j * np.pi * np.cumsum(np.interp(time, slow, frequency)) / RATE)
    partial, sound = np.ones_like(turn), np.zeros(count)
    for number, amplitude in enumerate(voice.harmonics, 1):
        partial = partial * turn
        gain = amplitude * np.interp(time, slow, _resonance(voice, number * frequency))
        sound += gain * partial.imag
    sound = (sound / np.abs(sound).max() + voice.breath * rng.standard_normal(count)) * loudness

    length, share = REVERB
    decay = np.exp(-6.9 * np.arange(int(length * RATE)) / RATE / length)
    tail = rng.standard_normal(len(decay)) * decay
    tail /= np.sqrt((tail**2).sum())
    wet = fftconvolve(sound, tail)[:count]
    sound = (1 - share) * sound + share * wet
    level = np.sqrt((sound**2).mean()) * 10 ** (NOISE_DB / 20)
    sound += level * rng.standard_normal(count)
    return 0.7 * sound / np.abs(sound).max(), truth


def _resonance(voice: Voice, frequency: Floats) -> Floats:
    """Return how much of a partial is heard, 0 above what the rate can hold."""
    gain = np.ones(len(frequency))
    if voice.formants:
        near = [1 / (1 + ((frequency - f) / 150) ** 2) for f in voice.formants]
        gain = 0.02 + np.sum(near, axis=0)
    return np.asarray(gain * (frequency < 0.48 * RATE))


def _played(tune: Tune, voice: Voice, rng: np.random.Generator) -> Tune:
    """Move the tune to the voice's octave, and vary its tempo."""
    grid = np.linspace(0, tune.end[-1] + 1, 400)
    waves = [
        rng.normal() * np.sin(2 * np.pi * grid / period + rng.uniform(0, 6.28))
        for period in (4, 7, 13)
    ]
    factor = 1 + RUBATO * np.sum(waves, axis=0) / 1.7
    warped = np.concatenate([[0], np.cumsum(np.diff(grid) * np.maximum(factor[1:], 0.5))])
    onset = 0.3 + np.interp(tune.onset, grid, warped)
    onset[1:] += np.clip(rng.normal(0, ONSET_JITTER, len(onset) - 1), -0.02, 0.02)
    end = 0.3 + np.interp(tune.end, grid, warped)
    end = np.maximum(np.minimum(end, np.append(onset[1:], np.inf)), onset + 0.03)
    octaves = round((voice.median - float(np.median(tune.pitch))) / 12)
    return Tune(tune.name, onset, end, tune.pitch + 12 * octaves, tune.quarters)


def _contour(tune: Tune, voice: Voice, time: Floats, rng: np.random.Generator) -> Floats:
    """Return the pitch at each sample, as MIDI numbers."""
    target = tune.pitch + rng.normal(0, NOTE_CENTS / 100, len(tune.pitch))
    steps = np.diff(target, prepend=target[0])
    index = np.clip(np.searchsorted(tune.onset, time, side="right") - 1, 0, None)
    pitch = np.full(len(time), target[0])
    for onset, step in zip(tune.onset[1:], steps[1:], strict=True):
        pitch += step / (1 + np.exp(-np.clip((time - onset) / (voice.glide / 8), -50, 50)))
    depth, rate = voice.vibrato
    since = time - tune.onset[index]
    growing = np.clip((since - 0.15) / 0.2, 0, 1)
    rates = rate * (1 + 0.05 * np.sin(2 * np.pi * 0.3 * time + rng.uniform(0, 6.28)))
    waves = np.sin(2 * np.pi * np.cumsum(rates) / CONTROL)
    drift = 0.08 * np.sin(2 * np.pi * 0.2 * time + rng.uniform(0, 6.28))
    shift = rng.uniform(-TUNING, TUNING)
    return np.asarray(pitch + shift + drift + growing * depth / 100 * waves)


def _envelope(tune: Tune, voice: Voice, time: Floats) -> Floats:
    """Return the amplitude at each sample.

    It dips before each note and ends with it.
    """
    loudness = np.zeros(len(time))
    low, width = voice.dip
    for k, (onset, end) in enumerate(zip(tune.onset, tune.end, strict=True)):
        legato = k + 1 < len(tune.onset) and tune.onset[k + 1] - end < 0.02
        first, last = np.searchsorted(time, [onset - 0.02, end + 0.1])
        part = time[first:last]
        floor = low if k and onset - tune.end[k - 1] < 0.02 else 0.0
        attack = floor + (1 - floor) * np.clip((part - onset + 0.005) / 0.03, 0, 1)
        stop = end - width if legato else end
        release = np.clip(1 - (part - stop) / width * (1 - low), low if legato else 0.0, 1)
        inside = part < end - 0.005 if legato else part < end + 0.1
        shape = attack * release * (0.85 + 0.15 * np.sin(np.pi * (part - onset) / (end - onset)))
        loudness[first:last] = np.maximum(
            loudness[first:last], shape * inside * (part > onset - 0.02)
        )
    return loudness


def tracked(tune: Tune, name: str, seed: int, folder: Path | None) -> tuple[Tune, Track]:
    """Return a synthesised tune as it sounds, and the track of its pitch.

    They are kept in a folder.
    """
    file = folder / f"{name}-{tune.name}.pickle" if folder else None
    if file and file.exists():
        kept: tuple[Tune, Track] = pickle.loads(file.read_bytes())
        return kept
    sound, truth = synthesise(tune, VOICES[name], seed)
    track = track_pitch(sound.astype(np.float32), name)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps((truth, track)))
    return truth, track


def f_measure(truth: Tune, track: Track) -> float:
    """Return the F1 of the notes that are found in a track of pitch."""
    found = notes_in(track)
    if not len(found.onset):
        return 0.0
    intervals = np.stack([truth.onset, truth.end], 1)
    found_intervals = np.stack([found.onset, found.end], 1)
    scores = mir_eval.transcription.precision_recall_f1_overlap(
        intervals,
        440 * 2 ** ((truth.pitch - 69) / 12),
        found_intervals,
        440 * 2 ** ((found.pitch - 69.0) / 12),
        offset_ratio=None,
    )
    return float(scores[2])


def rhythm(truth: Tune, quarters: Floats, track: Track) -> tuple[float, float]:
    """Compare the steps between onsets with the written ones.

    Returns:
        The share of steps that are right, up to the commonest factor, and that factor; NaN where
        the beat isn't trusted.
    """
    heard = notes_in(track)
    piece = piece_of(heard, track, None)
    if piece.feel == "performance":
        return float("nan"), float("nan")
    nearest = np.abs(heard.onset[:, None] - truth.onset).argmin(0)
    found = np.abs(heard.onset[nearest] - truth.onset) < 0.06
    both = found[1:] & found[:-1]
    steps = np.diff(piece.notes["onset"][nearest])[both] / np.diff(quarters)[both]
    factors, counts = np.unique(np.round(steps, 3), return_counts=True)
    return float(counts.max() / counts.sum()), float(factors[counts.argmax()])


if __name__ == "__main__":
    sys.exit(main())
