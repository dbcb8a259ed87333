"""Report a run: what was asked for, what came of it, and the choice of the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from styletransfer.music.melody import coverage
from styletransfer.music.notes import Piece
from styletransfer.styles.names import song_title
from styletransfer.transfer.assemble import count_kept_notes
from styletransfer.transfer.figures import report_examples
from styletransfer.transfer.ornaments import structural_notes
from styletransfer.transfer.planning import harmony_rows, key_of
from styletransfer.transfer.rework import first_number
from styletransfer.transfer.studio import Take, bars_done
from styletransfer.transfer.task import Task


@dataclass(frozen=True)
class Report:
    """The report of an arrangement: for ``--json``, the sidecar and ``result.report``.

    The keys keep this order. ``style``, ``mode``, ``keep``, ``chords``, ``bars``, ``seconds`` and
    the settings of the sampler are as they were asked for.
    """

    style: str
    title: str
    """What the song is called."""
    examples: list[dict[str, Any]]
    """What is taken from pieces that are styles; see :func:`.figures.report_examples`."""
    feel: str
    """``score``, or ``performance`` where it isn't on the beats or is played as a pianist would."""
    on_beats: bool
    """Whether the song lies on beats."""
    key: str
    octaves_moved: int
    """By how many octaves the melody was moved up."""
    mode: str
    keep: str
    chords: str
    on_top: bool | None
    """Whether the accompaniment stays below the tune; None without beats, unless asked for."""
    harmony: list[dict[str, Any]]
    """The planned chords bar by bar; see :func:`.planning.harmony_rows`."""
    bars: str | None
    seconds: float | None
    melody_notes: int
    melody_notes_kept: int
    """How many of them are in the arrangement, at the same tick with the same pitch."""
    ornaments: int
    """Notes that stand between those of the melody."""
    melody_share: float
    """The share of the song's time that the melody covers."""
    notes: int
    seconds_of_music: float
    seed: int
    temperature: float
    top_p: float
    strength: float
    longest_match_notes: int
    """The longest run of notes that is also in a training piece."""
    copied: bool
    """Whether that run is longer than in 99 of 100 real pieces of this length."""
    candidate: int
    """The number of the best candidate, from 0."""
    candidates: list[dict[str, float]]
    """The ranker's measures of each candidate, by name."""
    phrases: list[dict[str, Any]]
    """The choice in each phrase: its ``bars``, the number of the ``candidate``, its ``total``."""
    stopped_after_bar: int | None
    """The last bar that was done when Ctrl-C stopped it; None: it was finished."""
    remarks: list[str]
    """What the reader and the melody search remarked about the song."""
    seconds_taken: float

    def as_dict(self) -> dict[str, Any]:
        """Give the report as plain data, in the order of its keys."""
        return dict(vars(self))


def report_of(task: Task, take: Take, piece: Piece, *, seconds_taken: float) -> Report:
    """Report a task, what was composed for it, and the arrangement that was chosen."""
    request, source, sampling = task.request, task.source, task.request.sampling
    melody, scores, first = source.melody, take.scores, first_number(take.plan)
    key = key_of(melody, take.chords)
    harmony = [] if take.chords is None else harmony_rows(take.chords, take.bars, key, first)
    share, rests = coverage(source.piece, melody.notes)
    ornamented, ornaments = request.keep == "ornamented", 0
    if ornamented:
        ornaments = int(piece.notes["melody"].sum() - structural_notes(melody).sum())

    return Report(
        style=request.style,
        title=song_title(source.piece.title, request.song),
        examples=report_examples(request, take.plan, task.codec),
        feel="performance" if source.played else melody.feel,
        on_beats=melody.feel == "score",
        key=key.name,
        octaves_moved=source.octaves,
        mode=request.mode,
        keep=request.keep,
        chords=request.chords,
        on_top=request.on_top,
        harmony=harmony,
        bars=request.bars,
        seconds=request.seconds,
        melody_notes=len(melody.notes),
        melody_notes_kept=count_kept_notes(melody, piece, ends=not ornamented),
        ornaments=ornaments,
        melody_share=round(share, 3),
        notes=len(piece.notes),
        seconds_of_music=round(piece.length_seconds, 2),
        seed=sampling.seed,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        strength=sampling.strength,
        longest_match_notes=int(scores[take.best]["longest_match_notes"]),
        copied=bool(scores[take.best]["copied"]),
        candidate=take.best,
        candidates=scores,
        phrases=[_phrase(row, first) for row in take.phrases],
        stopped_after_bar=bars_done(take.candidates) - 1 + first if take.stopped else None,
        remarks=[*source.piece.remarks, *rests],
        seconds_taken=round(seconds_taken, 2),
    )


def _phrase(row: dict[str, Any], first: int) -> dict[str, Any]:
    """Give the bars of a phrase their numbers; ``first`` is that of the first bar."""
    begin, end = row["bars"]
    return row | {"bars": [begin + first, end + first - 1]}
