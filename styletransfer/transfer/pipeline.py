"""File in, file out, on one screen: read, find the melody, lay it on the grid, decode around it,
rank, put it together.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from styletransfer.errors import InputError
from styletransfer.formats.midi_out import as_written
from styletransfer.formats.read import read_song
from styletransfer.model.loading import load_model, melody_codec, voices_in
from styletransfer.music.chords import ChordTable
from styletransfer.music.key import estimate_key
from styletransfer.music.melody import coverage
from styletransfer.music.notes import Feel, Piece
from styletransfer.styles.touch import touch_of
from styletransfer.tokens.plan import Plan, plan_of
from styletransfer.transfer.assemble import assemble, kept
from styletransfer.transfer.continuation import chords_after, composed, joined, longer, with_chords
from styletransfer.transfer.figures import followed, on_top, with_figures
from styletransfer.transfer.kept_harmony import own_chords
from styletransfer.transfer.ornaments import structural
from styletransfer.transfer.performance.pianist import performed
from styletransfer.transfer.phrases import Progress, by_phrases
from styletransfer.transfer.planning import (
    chord_song,
    chords_alone,
    closes_on,
    harmony_of,
    harmony_rows,
    key_of,
    planned,
    settled,
)
from styletransfer.transfer.provenance import provenance_of
from styletransfer.transfer.ranking.choice import indexes_for, ranked
from styletransfer.transfer.ranking.likeness import parts_of
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result
from styletransfer.transfer.rework import (
    as_before,
    feel_of,
    first_number,
    read_earlier,
    redo_plan,
    redone,
    spliced,
)
from styletransfer.transfer.source import find_melody
from styletransfer.transfer.timing import cut, edge_of

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate


def apply(request: Request, progress: Progress | None = None, *, partial: bool = False) -> Result:
    """Arrange a song in a style: every melody note stays, everything else is new.

    With ``partial``, Ctrl-C leaves an arrangement of the bars that are done, if there is one, and
    the report says which.

    Raises:
        InputError: where the song can't be read or has no melody.
    """
    begin = time.monotonic()
    request = settled(request)
    earlier: Piece | None = None
    if (
        request.bars is not None
    ):  # as the sidecar says: a performance's file could be read as a score
        request = replace(request, feel=feel_of(request.song, request.feel))
        source, melody = read_earlier(
            request.song, "performance" if request.feel == "performance" else "score"
        )
        earlier, octaves, played = source, 0, request.feel == "played"
    else:
        feel: Feel | None = "score" if request.feel == "score" else None
        source = read_song(request.song, feel, silent=True) if request.song else chord_song(request)
        melody, octaves = find_melody(
            source, keep_register=request.keep_register, track=request.melody_track
        )
        played = request.feel == "performance" and melody.feel == "score"
    alone = not len(melody.notes)  # there are chords, and no tune
    if alone and (request.mode != "reharmonize" or request.keep != "exact"):
        raise InputError(f"{request.song}: it has chords and no tune; leave out --mode and --keep.")
    from styletransfer.model.sampling import (
        sample,
    )  # a broken file is reported before torch is loaded

    codec = melody_codec(request.model)
    held = (
        codec.grid(melody.with_notes(melody.notes[structural(melody)]))
        if request.keep == "ornamented"
        else None
    )
    plan = plan_of(codec, codec.grid(melody), locked=request.mode != "regenerate", held=held)
    if earlier is not None:
        plan = redo_plan(plan, codec, earlier, str(request.bars))
    own: ChordTable | None = None
    if request.chords == "keep" and not alone:
        own, held_to = own_chords(source, melody, octaves, plan)
        plan = replace(plan, harmony=held_to)
    chords: ChordTable | None = None
    if codec.plans and melody.feel == "score":
        if earlier is not None:
            request, chords = as_before(request, earlier, melody, first_number(plan))
        request = replace(request, on_top=on_top(request) and not alone)
        if chords is None:
            chords = chords_alone(request, melody) if alone else harmony_of(request, melody, own)
        key = key_of(melody, chords)
        plan = planned(plan, chords, above=not request.on_top)
        plan = with_figures(plan, request, melody, codec, key) if earlier is None else plan
        plan = replace(plan, key=key, closes=closes_on(chords, melody.bars, key)) if alone else plan
    elif alone:
        raise InputError(
            "chords by themselves lie on beats, and this model knows no plans; give another, or a song."
        )
    elif request.chords not in ("new", "keep"):
        raise InputError(
            "--chords: this song lies on no beats, or the model knows no plans: give new or keep."
        )
    tempo = melody.tempo.quarters_per_minute()
    told = ("texture" if request.on_top else "part") if plan.references else ""
    voices = voices_in(
        request.style, melody.feel, tempo, request.sampling.strength, request.model, told
    )
    touch, provenance = touch_of(request.style), provenance_of(request, load_model(request.model))
    indexes, parts = (
        indexes_for(request.style),
        parts_of(request.style),
    )  # what is damaged is told before the work
    whole = (
        progress if request.seconds is None else progress and (lambda share: progress(share / 2))
    )

    def compose(part: Plan, share: Progress | None) -> list[Candidate]:
        return sample(voices, codec, part, request.sampling, share, partial=partial)

    def choose(found: list[Candidate], first: int, end: int) -> tuple[int, float]:
        phrases = [
            cut(assemble(melody, codec, plan, one, touch, first), plan, end, first) for one in found
        ]
        tune = cut(melody, plan, end, first)
        scores, best = ranked(found, tune, phrases, indexes, parts, closes=end == plan.bars)
        return best, scores[best]["total"]

    chosen: list[dict[str, Any]] = []
    if request.choose == "phrases" and request.sampling.candidates > 1:
        candidates, chosen = by_phrases(plan, compose, choose, whole, partial=partial)
    else:
        candidates = compose(plan, whole)
    bars, done, wanted = (
        melody.bars,
        len(candidates[0].bars),
        plan.bars if plan.stop is None else plan.stop,
    )
    arranged = [assemble(melody, codec, plan, candidate, touch) for candidate in candidates]
    window = None  # of what is new, in quarters; None: everything
    if earlier is not None:
        if done == len(plan.given):
            raise KeyboardInterrupt  # nothing new to leave
        new = replace(plan, stop=done)
        first, end = redone(new)
        window = edge_of(earlier, plan, first), edge_of(earlier, plan, end)
        arranged = [spliced(earlier, piece, new) for piece in arranged]
    elif done < wanted:
        arranged = [cut(piece, plan, done) for piece in arranged]
    scores, best = ranked(candidates, melody, arranged, indexes, parts)
    if chosen and chosen[-1]["bars"][1] == wanted:
        best = int(chosen[-1]["candidate"])
    if (
        request.seconds is not None and done == wanted
    ):  # the best one goes on, in as many ways as there were candidates
        whole = progress and (lambda share: progress((1 + share) / 2))
        tune, wider = longer(arranged[best], codec, plan, request.seconds)
        if chords is not None:
            bars = tune.bars
            chords = chords_after(chords, bars, plan.bars, estimate_key(melody.notes))
            wider = with_chords(wider, plan, chords)
            voices = voices_in(
                request.style, melody.feel, tempo, request.sampling.strength, request.model, "part"
            )
        plan = replace(wider, **plan.faithful_to(candidates[best].figure))
        candidates = compose(plan, whole)
        done, wanted = len(candidates[0].bars), plan.bars
        arranged = [
            joined(tune, composed(codec, plan, tune, one.bars), request.seconds, touch)
            for one in candidates
        ]
        if done < wanted:
            arranged = [cut(piece, plan, done) for piece in arranged]
        scores, best = ranked(candidates, melody, arranged, indexes, parts)
        if (
            chords is not None
        ):  # what is new is chosen by itself: with the tune, its silence would count for nothing
            silent = melody.with_notes(melody.notes[:0])
            after = [cut(piece, plan, done, len(plan.given)) for piece in arranged]
            best = ranked(candidates, silent, after, indexes, parts, closes=done == wanted)[1]
    if played:
        arranged = [performed(one, touch, request.sampling.seed, window) for one in arranged]
    arranged = [as_written(one) for one in arranged]
    piece, number, key = arranged[best], first_number(plan), key_of(melody, chords)
    share, rests = coverage(source, melody.notes)
    report = {
        "style": request.style,
        "examples": followed(request, plan, codec),
        "feel": "performance" if played else melody.feel,
        "on_beats": melody.feel == "score",
        "key": key.name,
        "octaves_moved": octaves,
        "mode": request.mode,
        "keep": request.keep,
        "chords": request.chords,
        "on_top": request.on_top,
        "harmony": [] if chords is None else harmony_rows(chords, bars, key, number),
        "bars": request.bars,
        "seconds": request.seconds,
        "melody_notes": len(melody.notes),
        "melody_notes_kept": kept(melody, piece, ends=held is None),
        "ornaments": int(piece.notes["melody"].sum()) - len(melody.notes[structural(melody)])
        if held
        else 0,
        "melody_share": round(share, 3),
        "notes": len(piece.notes),
        "seconds_of_music": round(piece.length_seconds, 2),
        "seed": request.sampling.seed,
        "temperature": request.sampling.temperature,
        "top_p": request.sampling.top_p,
        "strength": request.sampling.strength,
        "longest_match_notes": scores[best]["longest_match_notes"],
        "copied": bool(scores[best]["copied"]),
        "candidate": best,
        "candidates": scores,
        "phrases": [
            one | {"bars": [one["bars"][0] + number, one["bars"][1] + number - 1]} for one in chosen
        ],
        "stopped_after_bar": done - 1 + number if done < wanted else None,
        "remarks": [*source.remarks, *rests],
        "seconds_taken": round(time.monotonic() - begin, 2),
    }
    return Result(piece, report, request, melody, tuple(arranged), provenance)
