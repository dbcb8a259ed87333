"""Measure how much of a melody is left in an arrangement of it.

Conventions: the *reference* is the song that was given, the *estimate* the arrangement. A declared
transposition (in semitones, positive is up) is undone: it is added to the reference's pitches. A
change of tempo that both agree on doesn't count either: two scores are compared in quarters, at the
reference's tempo. What touches a performance is compared in seconds. None of the numbers is to be
averaged with a measure of style.

Definitions and sources:

- note F1: mir_eval's transcription metric without offsets (C. Raffel et al., "mir_eval: a
  transparent implementation of common MIR metrics", ISMIR 2014; MIREX "note tracking, onset only"):
  a note is found where a maximum matching pairs it with one of the same pitch whose onset is at
  most 50 ms away. mir_eval itself does the matching.
- subsequence: the longest common subsequence of the two melodies' pitches (D. Hirschberg 1977; as
  ROUGE-L, C.-Y. Lin 2004). Rhythm doesn't count, and ornaments lower the precision but not the
  recall.
- skyline: the highest note of each onset (A. Uitdenbogerd and J. Zobel, "Manipulation of music for
  melody matching", ACM Multimedia 1998): whether what one hears on top is the tune.
- chroma cosine: W.-T. Lu and L. Su, "Transferring the style of homophonic music using recurrent
  neural networks and autoregressive models", ISMIR 2018, with the windows of O. Cífka et al.,
  "Groove2Groove", IEEE/ACM TASLP 28, 2020: two beats wide, one beat apart.

Known deviations from the references: mir_eval warns about and refuses what is empty or lies before
0; here an empty table gives 0 for what can't be found and 1 where both are empty, and times are
shifted together. Chroma is integrated exactly instead of sampled twelve times per beat, and a beat
is a quarter (in a performance half a second).
"""

from __future__ import annotations

from dataclasses import dataclass

import mir_eval.transcription
import mir_eval.util
import numpy as np
from numpy.typing import NDArray

from styletransfer.evaluation.measures.chroma import mean_cosine, sounding_time
from styletransfer.music.melody import skyline
from styletransfer.music.notes import NoteTable, Piece

ONSET_TOLERANCE = 0.05
"""Seconds: mir_eval's and MIREX's."""

PERFORMED_BEAT = 0.5
"""Seconds that stand for a beat where there is none: 120 beats per minute."""


@dataclass(frozen=True)
class Found:
    """How much of one set was found in another; all from 0 to 1.

    ``precision`` is the share of the estimate that is in the reference, ``recall`` the share of the
    reference that is in the estimate, ``f1`` their harmonic mean.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Fidelity:
    """The part of a melody left in an arrangement, from 0 (nothing) to 1 (all of it).

    ``melody``: notes of the reference's melody against the notes that the estimate marks as melody.
    ``skyline``: against its highest notes. ``anywhere``: share of the melody's notes that any note
    of the estimate plays. ``subsequence``: the longest common subsequence of the pitches of the two
    melodies. ``chroma``: mean cosine of the chroma of all notes (NaN where neither has a note). For
    a bare melody it is bounded by the harmony that the arrangement adds: it compares systems, and
    means nothing by itself.
    """

    melody: Found
    skyline: Found
    anywhere: float
    subsequence: Found
    chroma: float


def fidelity(reference: Piece, estimate: Piece, transposition: int = 0) -> Fidelity:
    """Take all measures of this module.

    Args:
        reference: the song that was given, its melody marked.
        estimate: the arrangement, its melody marked; where it was read from a file, by
            :func:`styletransfer.music.melody.extract_melody`, whose mistakes count then.
        transposition: semitones that the arrangement is declared to be higher.
    """
    tune = transposed(reference.melody, transposition)
    top = estimate.notes[skyline(estimate)]
    whole = timed(reference, reference.notes), timed(estimate, estimate.notes, reference)
    given = timed(reference, tune)
    return Fidelity(
        melody=note_f1(given, timed(estimate, estimate.melody, reference)),
        skyline=note_f1(given, timed(estimate, top, reference)),
        anywhere=note_f1(given, whole[1]).recall,
        subsequence=subsequence(tune["pitch"], estimate.melody["pitch"]),
        chroma=chroma_cosine(
            transposed(whole[0], transposition), whole[1], beat_seconds(reference)
        ),
    )


def transposed(notes: NoteTable, semitones: int) -> NoteTable:
    """Move notes up by ``semitones``.

    Raises:
        ValueError: if that leaves the range of MIDI.
    """
    pitch = notes["pitch"].astype(int) + semitones
    if len(pitch) and not 0 <= pitch.min() <= pitch.max() <= 127:
        raise ValueError(f"{semitones} semitones lead out of the range of MIDI")
    result = notes.copy()
    result["pitch"] = pitch
    return result


def timed(piece: Piece, notes: NoteTable, reference: Piece | None = None) -> NoteTable:
    """Give the notes of a piece with onsets and durations in seconds.

    If both are scores, they are timed at the tempo of ``reference``.
    """
    tempo = (
        reference.tempo if reference and reference.feel == piece.feel == "score" else piece.tempo
    )
    result = notes.copy()
    result["onset"] = tempo.to_seconds(notes["onset"])
    result["duration"] = tempo.to_seconds(notes["onset"] + notes["duration"]) - result["onset"]
    return result


def beat_seconds(piece: Piece) -> float:
    """Give the seconds of a beat, a quarter in a score and else half a second.

    A score's quarter is at its first tempo.
    """
    return 60.0 / piece.tempo.quarters_per_minute() if piece.feel == "score" else PERFORMED_BEAT


def note_f1(reference: NoteTable, estimate: NoteTable, tolerance: float = ONSET_TOLERANCE) -> Found:
    """Find the reference's notes in the estimate, by onset and pitch.

    See the module's first definition.

    Args:
        reference: with times in seconds, as :func:`timed` gives them.
        estimate: the same.
        tolerance: seconds that an onset may be away (at most, not less than).
    """
    if not len(reference) or not len(estimate):
        return _found(0, len(reference), len(estimate))
    start = min(float(reference["onset"].min()), float(estimate["onset"].min()))
    pairs = mir_eval.transcription.match_notes(
        _intervals(reference, start),
        mir_eval.util.midi_to_hz(reference["pitch"].astype(float)),
        _intervals(estimate, start),
        mir_eval.util.midi_to_hz(estimate["pitch"].astype(float)),
        onset_tolerance=tolerance,
        offset_ratio=None,
    )
    return _found(len(pairs), len(reference), len(estimate))


def _intervals(notes: NoteTable, start: float) -> NDArray[np.float64]:
    """Give onsets and ends in seconds after ``start``, shape (notes, 2)."""
    onset = notes["onset"].astype(float) - start
    return np.stack([onset, onset + notes["duration"]], axis=1)


def _found(matched: int, reference: int, estimate: int) -> Found:
    if not reference and not estimate:
        return Found(1.0, 1.0, 1.0)
    precision = matched / estimate if estimate else 0.0
    recall = matched / reference if reference else 0.0
    return Found(precision, recall, 2 * matched / (reference + estimate))


def subsequence(reference: NDArray[np.integer], estimate: NDArray[np.integer]) -> Found:
    """Find the longest common subsequence of two sequences of pitches.

    It is given as shares of their lengths.
    """
    return _found(common_subsequence(reference, estimate), len(reference), len(estimate))


def common_subsequence(a: NDArray[np.integer], b: NDArray[np.integer]) -> int:
    """Measure the longest common subsequence of two sequences, (n,) and (m,).

    Bit-parallel (H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004): n·m/64
    steps, 10 ms for 3,000 notes each.
    """
    everything = (1 << len(a)) - 1
    where: dict[int, int] = {}
    for index, value in enumerate(a.tolist()):
        where[value] = where.get(value, 0) | 1 << index
    state = everything
    for value in b.tolist():
        match = state & where.get(value, 0)
        state = (state + match | state - match) & everything
    return len(a) - state.bit_count()


def chroma_cosine(reference: NoteTable, estimate: NoteTable, beat: float) -> float:
    """Average the cosine of the chroma of two tables, from 0 to 1.

    The windows are two beats wide and begin a beat apart; the first begins a beat before the first
    note, as in the reference's padded convolution. Windows in which neither sounds are left out;
    one that is silent in one of the two counts 0; NaN where neither has a note.

    Args:
        reference: with times in the unit of ``beat``.
        estimate: the same; a transposition is undone before.
        beat: the length of a beat.
    """
    both = np.concatenate([reference, estimate])
    if not len(both):
        return float("nan")
    start, end = float(both["onset"].min()), float((both["onset"] + both["duration"]).max())
    edges = start + beat * np.arange(-1, int(np.ceil((end - start) / beat - 1e-9)) + 2)
    a, b = sounding_time(reference, edges), sounding_time(estimate, edges)
    return mean_cosine(a[:-1] + a[1:], b[:-1] + b[1:])
