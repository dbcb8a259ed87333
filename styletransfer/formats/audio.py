"""Read recordings of a melody as pieces.

The melody was sung, hummed, whistled or played by one instrument.

The track of the pitch becomes notes, their onsets have beats found for them, and where these are
clear, the notes are written on them. Remarks state how sure all this is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from styletransfer.errors import InputError
from styletransfer.formats.pitch_notes import Heard, Track, notes_in
from styletransfer.formats.sound import samples_in, track_pitch
from styletransfer.music.beat_grid import on_found_beats
from styletransfer.music.notes import Feel, Piece, TempoMap, make_notes

PARTS = ("melody",)
LOUDEST, SOFTEST, RANGE = 100, 50, 20.0
"""The velocities of the loudest notes, and of those this many decibels softer."""


def parse_audio(data: bytes, name: str, feel: Feel | None = None) -> Piece:
    """Read the bytes of a recording of one voice as a piece.

    Args:
        data: the file's bytes.
        name: what error messages call the file.
        feel: ``performance`` leaves the notes in seconds; else they are written on beats where
            those are clear.

    Raises:
        InputError: where the bytes are no sound or too long, where no notes are heard, or where the
            packages that hear them aren't installed.
    """
    track = track_pitch(samples_in(data, name), name)
    heard = notes_in(track)
    if not len(heard.onset):
        raise InputError(
            f"{name}: no notes are heard in it; record one voice alone, close to the microphone."
        )
    return piece_of(heard, track, feel)


def piece_of(heard: Heard, track: Track, feel: Feel | None) -> Piece:
    """Write notes that were heard in a track of pitch as a piece, by onset."""
    velocity = _velocities(heard, track)
    remarks = [_sureness(heard, track)]
    if feel != "performance":
        found = on_found_beats(heard.onset, heard.end, heard.pitch, velocity)
        if found is not None:
            beats, grid = found
            remarks.append(
                f"about {beats.rate:.0f} beats per minute were heard, each "
                f"{1000 * beats.unevenness:.0f} ms early or late on average; between them, onsets "
                f"lie {1000 * grid.off:.0f} ms off"
            )
            return Piece(
                notes=make_notes(
                    grid.onset,
                    grid.end - grid.onset,
                    heard.pitch,
                    velocity=velocity,
                    melody=True,
                ),
                feel="score",
                bars=grid.bars,
                tempo=grid.tempo,
                parts=PARTS,
                remarks=tuple(remarks),
            )
        remarks.append("no clear beat was heard; it is arranged in seconds")

    tempo = TempoMap()
    onset, end = tempo.to_quarters(heard.onset), tempo.to_quarters(heard.end)
    return Piece(
        notes=make_notes(onset, end - onset, heard.pitch, velocity=velocity, melody=True),
        feel="performance",
        tempo=tempo,
        parts=PARTS,
        remarks=tuple(remarks),
    )


def _velocities(heard: Heard, track: Track) -> NDArray[np.int64]:
    """Return the velocities of notes by their loudness, shape (notes,)."""
    first = np.round(heard.onset / track.seconds).astype(int)
    last = np.round(heard.end / track.seconds).astype(int)
    loud = np.array(
        [track.loudness[a : max(b, a + 1)].max() for a, b in zip(first, last, strict=True)]
    )
    below = np.clip((loud.max() - loud) / RANGE, 0, 1)
    velocity = np.round(LOUDEST - (LOUDEST - SOFTEST) * below)
    return np.asarray(velocity, np.int64)


def _sureness(heard: Heard, track: Track) -> str:
    """Return a sentence on how sure the notes are."""
    voiced = track.voiced
    cents = round(100 * heard.tuning)
    tuned = f", tuned {abs(cents)} cents {'above' if cents > 0 else 'below'} A = 440 Hz"
    return (
        f"{len(heard.onset)} notes were heard; a pitch sounds for {voiced.mean():.0%} of the time, "
        f"with a mean confidence of {track.confidence[voiced].mean():.2f}"
        f"{tuned if abs(cents) >= 5 else ''}"
    )
