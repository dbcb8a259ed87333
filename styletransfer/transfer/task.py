"""Plan what is to be composed: all that is fixed before a note is decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from styletransfer.errors import InputError
from styletransfer.model.loading import melody_codec
from styletransfer.music.chords import ChordTable
from styletransfer.tokens.codec import Codec
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.difficulty import DIFFICULTIES
from styletransfer.transfer.figures import add_figures, on_top
from styletransfer.transfer.kept_harmony import own_chords
from styletransfer.transfer.ornaments import structural_notes
from styletransfer.transfer.planning import (
    add_chords,
    chords_alone,
    ends_on_tonic,
    harmony_of,
    key_of,
)
from styletransfer.transfer.request import SPANS, Request
from styletransfer.transfer.rework import first_number, keep_settings, rework_plan
from styletransfer.transfer.source import Source


@dataclass(frozen=True)
class Task:
    """What is to be composed.

    ``request``: what is asked for, with what an earlier arrangement or the style adds to it.
    ``plan``: what is fixed. ``chords``: the harmony of all bars in quarters; None: nothing is
    planned.
    """

    request: Request
    source: Source
    codec: Codec
    plan: Plan
    chords: ChordTable | None = None


def plan_for(request: Request, source: Source) -> Task:
    """Plan an arrangement: its melody, its harmony, and its first figures.

    Raises:
        InputError: where the song, the model and what is asked for don't go together.
    """
    if not source.has_tune and (request.mode != "reharmonize" or request.keep != "exact"):
        raise InputError(f"{request.song}: it has chords and no tune; leave out --mode and --keep.")

    codec = melody_codec(request.model)
    plan = _plan_melody(request, source, codec)
    kept: ChordTable | None = None
    if request.chords == "keep" and source.has_tune:
        kept, harmony = own_chords(source.piece, source.melody, source.octaves, plan)
        plan = replace(plan, harmony=harmony)

    if codec.plans and source.melody.feel == "score":
        return _plan_harmony(Task(request, source, codec, plan), kept)
    if not source.has_tune:
        raise InputError(
            "chords by themselves need a model that knows plans, and this one doesn't;"
            " give another, or a song."
        )
    if request.chords not in ("new", "keep"):
        raise InputError(
            "--chords: this song has no beats, or the model knows no plans; give new or keep."
        )
    return Task(request, source, codec, plan)


def _plan_melody(request: Request, source: Source, codec: Codec) -> Plan:
    """Lock the melody's notes as the mode says.

    Of an earlier arrangement, the bars before those that are made again are given as well.
    """
    melody, held = source.melody, None
    if request.keep == "ornamented":
        held = codec.grid(melody.with_notes(melody.notes[structural_notes(melody)]))
    plan = plan_of(codec, codec.grid(melody), locked=request.mode != "regenerate", held=held)
    plan = replace(plan, span=SPANS[request.span])
    if request.difficulty is not None:
        qpm = melody.tempo.quarters_per_minute()
        plan = DIFFICULTIES[request.difficulty].limit(plan, qpm)
    return plan if request.bars is None else rework_plan(plan, codec, source.piece, request.bars)


def _plan_harmony(task: Task, kept: ChordTable | None) -> Task:
    """Plan the chords of all bars, and the figures; ``kept``: the song's own chords."""
    request, source, plan = task.request, task.source, task.plan
    melody, chords = source.melody, None
    if request.bars is not None:
        request, chords = keep_settings(request, source.piece, melody, first_number(plan))
    request = replace(request, on_top=on_top(request) and source.has_tune)
    if chords is None and source.has_tune:
        chords = harmony_of(request, melody, kept)
    elif chords is None:
        chords = chords_alone(request, melody)

    key = key_of(melody, chords)
    plan = add_chords(plan, chords, above=not request.on_top)
    if request.bars is None:
        plan = add_figures(plan, request, melody, task.codec, key)
    if not source.has_tune:
        plan = replace(plan, key=key, closes=ends_on_tonic(chords, melody.bars, key))
    return replace(task, request=request, plan=plan, chords=chords)
