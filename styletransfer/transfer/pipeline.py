"""File in, file out, on one screen: read, find the melody, lay it on the grid, decode around it, rank, put it together."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from styletransfer.errors import InputError
from styletransfer.score.chords import ChordTable
from styletransfer.score.copies import Copies, match_of, shipped_copies
from styletransfer.score.hands import split_hands
from styletransfer.score.harmony import estimate_key
from styletransfer.score.melody import coverage, extract_melody
from styletransfer.score.notes import Feel, NoteTable, Piece, TempoMap, bars_under, make_notes
from styletransfer.score.read import read_song
from styletransfer.score.write import as_written
from styletransfer.styles import COPIES, Style, parse_style, pieces_in, weights_folder
from styletransfer.tokens.codec import FREE_BAR_STEPS, STEPS_PER_SECOND, Codec
from styletransfer.tokens.loading import AnyCodec, codec_of_package
from styletransfer.tokens.miditok_codec import MidiTokCodec
from styletransfer.tokens.plan import Plan, free_plan, plan_of
from styletransfer.transfer import rank
from styletransfer.transfer.chords import own_chords
from styletransfer.transfer.dynamics import sung, velocities
from styletransfer.transfer.example import load_example
from styletransfer.transfer.figures import followed, on_top, with_figures
from styletransfer.transfer.going_on import chords_after, composed, joined, longer, with_chords
from styletransfer.transfer.likeness import Parts, likeness, parts_of
from styletransfer.transfer.ornaments import as_it_came, is_ornament, ornamented, structural
from styletransfer.transfer.phrases import Progress, by_phrases
from styletransfer.transfer.pianist import performed
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
from styletransfer.transfer.redo import as_before, feel_of, first_number, read_earlier, redo_plan, redone, spliced
from styletransfer.transfer.request import PARTS, Request, Result
from styletransfer.transfer.sidecar import provenance_of
from styletransfer.transfer.steps import cut, decoded, edge_of, in_quarters, plan_steps
from styletransfer.transfer.touch import USUAL, Touch, touch_of

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate, Voice
    from styletransfer.model.settings import SamplingConfig
    from styletransfer.model.weights import Weights

LOWEST_MEDIAN = 65  # a melody whose median pitch is lower leaves too little room below it, and moves up by octaves
HIGHEST_MIDI = 127
FREE_TEMPO = 125.0  # quarters a minute of what has none: at 120, every step would lie on a subdivision of one
FINE_TICKS = 96  # a quarter; at fewer, what is written may miss its place by more than 3 ms


def apply(request: Request, progress: Progress | None = None, *, partial: bool = False) -> Result:
    """Arrange a song in a style: every melody note stays, everything else is new.

    With ``partial``, Ctrl-C leaves an arrangement of the bars that are done, if there is one, and the report says which.

    Raises:
        InputError: where the song can't be read or has no melody.
    """
    begin = time.monotonic()
    request = settled(request)
    earlier: Piece | None = None
    if request.bars is not None:  # as the sidecar says: a performance's file could be read as a score
        request = replace(request, feel=feel_of(request.song, request.feel))
        source, melody = read_earlier(request.song, "performance" if request.feel == "performance" else "score")
        earlier, octaves, played = source, 0, request.feel == "played"
    else:
        feel: Feel | None = "score" if request.feel == "score" else None
        source = read_song(request.song, feel, silent=True) if request.song else chord_song(request)
        melody, octaves = find_melody(source, keep_register=request.keep_register, track=request.melody_track)
        played = request.feel == "performance" and melody.feel == "score"
    alone = not len(melody.notes)  # there are chords, and no tune
    if alone and (request.mode != "reharmonize" or request.keep != "exact"):
        raise InputError(f"{request.song}: it has chords and no tune; leave out --mode and --keep.")
    from styletransfer.model.sampling import sample  # a broken file is reported before torch is loaded

    codec = melody_codec(request.model)
    held = codec.grid(melody.with_notes(melody.notes[structural(melody)])) if request.keep == "ornamented" else None
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
        raise InputError("chords by themselves lie on beats, and this model knows no plans; give another, or a song.")
    elif request.chords not in ("new", "keep"):
        raise InputError("--chords: this song lies on no beats, or the model knows no plans: give new or keep.")
    tempo = melody.tempo.quarters_per_minute()
    told = ("texture" if request.on_top else "part") if plan.references else ""
    voices = voices_in(request.style, melody.feel, tempo, request.sampling.strength, request.model, told)
    touch, provenance = touch_of(request.style), provenance_of(request, load_model(request.model))
    indexes, parts = indexes_for(request.style), parts_of(request.style)  # what is damaged is told before the work
    whole = progress if request.seconds is None else progress and (lambda share: progress(share / 2))

    def compose(part: Plan, share: Progress | None) -> list[Candidate]:
        return sample(voices, codec, part, request.sampling, share, partial=partial)

    def choose(found: list[Candidate], first: int, end: int) -> tuple[int, float]:
        phrases = [cut(assemble(melody, codec, plan, one, touch, first), plan, end, first) for one in found]
        tune = cut(melody, plan, end, first)
        scores, best = ranked(found, tune, phrases, indexes, parts, closes=end == plan.bars)
        return best, scores[best]["total"]

    chosen: list[dict[str, Any]] = []
    if request.choose == "phrases" and request.sampling.candidates > 1:
        candidates, chosen = by_phrases(plan, compose, choose, whole, partial=partial)
    else:
        candidates = compose(plan, whole)
    bars, done, wanted = melody.bars, len(candidates[0].bars), plan.bars if plan.stop is None else plan.stop
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
    if request.seconds is not None and done == wanted:  # the best one goes on, in as many ways as there were candidates
        whole = progress and (lambda share: progress((1 + share) / 2))
        tune, wider = longer(arranged[best], codec, plan, request.seconds)
        if chords is not None:
            bars = tune.bars
            chords = chords_after(chords, bars, plan.bars, estimate_key(melody.notes))
            wider = with_chords(wider, plan, chords)
            voices = voices_in(request.style, melody.feel, tempo, request.sampling.strength, request.model, "part")
        plan = replace(wider, **plan.faithful_to(candidates[best].figure))
        candidates = compose(plan, whole)
        done, wanted = len(candidates[0].bars), plan.bars
        arranged = [joined(tune, composed(codec, plan, tune, one.bars), request.seconds, touch) for one in candidates]
        if done < wanted:
            arranged = [cut(piece, plan, done) for piece in arranged]
        scores, best = ranked(candidates, melody, arranged, indexes, parts)
        if chords is not None:  # what is new is chosen by itself: with the tune, its silence would count for nothing
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
        "ornaments": int(piece.notes["melody"].sum()) - len(melody.notes[structural(melody)]) if held else 0,
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
        "phrases": [one | {"bars": [one["bars"][0] + number, one["bars"][1] + number - 1]} for one in chosen],
        "stopped_after_bar": done - 1 + number if done < wanted else None,
        "remarks": [*source.remarks, *rests],
        "seconds_taken": round(time.monotonic() - begin, 2),
    }
    return Result(piece, report, request, melody, tuple(arranged), provenance)


def generate(
    style: str,
    seconds: float,
    sampling: SamplingConfig,
    model_folder: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Compose freely in a style, as performed music, for about so many seconds."""
    if pieces := pieces_in(style):
        raise InputError(f"--style {pieces[0]}: only `apply` can follow a piece; give the name of a style.")
    if not 1 <= seconds <= 3600:
        raise InputError(f"--seconds {seconds:g}: give a number from 1 to 3600.")

    begin, codec = time.monotonic(), load_model(model_folder).codec
    voices = voices_in(style, "performance", 100.0, sampling.strength, model_folder)
    compose = _compose if isinstance(codec, Codec) else _compose_plainly
    piece = as_written(compose(voices, codec, seconds, sampling, progress))  # type: ignore[arg-type]  # of its kind

    match = match_of(piece, indexes_for(style))
    report = {
        "style": style,
        "seed": sampling.seed,
        "key": estimate_key(piece.notes).name if len(piece.notes) else None,
        "notes": len(piece.notes),
        "seconds_of_music": round(piece.length_seconds, 2),
        "longest_match_notes": match.notes,
        "copied": match.is_copy(len(piece.notes)),
        "seconds_taken": round(time.monotonic() - begin, 2),
    }
    return Result(piece, report)


def contrast(candidate: Candidate) -> float:
    """How much likelier the style makes it than the base alone: its likelihood tells nothing good (docs/decisions.md)."""
    return candidate.style - candidate.plain


def free_pieces(
    voices: list[Voice],
    codec: Codec,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None = None,
) -> list[tuple[Candidate, Piece]]:
    """All candidates of free music for about so many seconds."""
    from styletransfer.model.sampling import sample

    bars = max(round(seconds * STEPS_PER_SECOND / FREE_BAR_STEPS), 1)
    plan = free_plan("performance", bars, FREE_BAR_STEPS, "BAR_free")
    nothing = Piece(make_notes([], [], []), "performance", tempo=TempoMap.steady(60 / FREE_TEMPO), parts=PARTS)
    return [(one, assemble(nothing, codec, plan, one)) for one in sample(voices, codec, plan, sampling, progress)]


def _compose(
    voices: list[Voice],
    codec: Codec,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None,
) -> Piece:
    return max(free_pieces(voices, codec, seconds, sampling, progress), key=lambda one: contrast(one[0]))[1]


def _compose_plainly(
    voices: list[Voice],
    codec: MidiTokCodec,
    seconds: float,
    sampling: SamplingConfig,
    progress: Progress | None,
) -> Piece:
    from styletransfer.model.plain_sampling import sample_plain

    best = max(sample_plain(voices, codec, seconds, sampling, progress), key=lambda found: found.style)
    piece = codec.decode(best.ids)
    notes = piece.notes[piece.onset_seconds < seconds]
    notes["part"] = 1 + split_hands(notes)
    return replace(piece, notes=notes, parts=PARTS)


def find_melody(source: Piece, *, keep_register: bool = False, track: str | None = None) -> tuple[Piece, int]:
    """The melody alone, as a piece with the source's time, and by how many octaves it was moved."""
    if not len(source.notes):  # chords alone, in bars that stay
        return replace(source, parts=PARTS), 0
    notes = source.notes[extract_melody(source, track)].copy()
    if not len(notes):
        raise InputError("no melody was found in it.")
    notes["melody"], notes["part"] = True, 0
    octaves = 0 if keep_register else max(0, -(-(LOWEST_MEDIAN - int(np.median(notes["pitch"]))) // 12))
    octaves = min(octaves, (HIGHEST_MIDI - int(notes["pitch"].max())) // 12)
    notes["pitch"] += 12 * octaves
    bars = bars_under(source.bars, notes)
    ticks = source.ticks_per_quarter  # of a coarse file more, so that sixteenths and triplets have their places
    ticks = ticks if ticks >= FINE_TICKS else math.lcm(ticks, FINE_TICKS)
    return replace(source, notes=notes, bars=bars, parts=PARTS, pedals=(), ticks_per_quarter=ticks), octaves


@dataclass(frozen=True)
class Base:
    """A base model, its tokenizer of either kind, the hashes that adapters belong to, and whether it has learnt from
    validation and test pieces, too."""

    model: Weights
    codec: AnyCodec
    weights_hash: str
    tokenizer_hash: str
    all_pieces: bool = False


def load_model(folder: Path | None = None) -> Base:
    """A base model from a folder or from the package."""
    return _loaded(folder or shipped_model())


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Base:
    from styletransfer.model.weights import load_weights, weights_hash

    model, vocabulary, manifest = load_weights(folder)
    codec = codec_of_package(folder, vocabulary, manifest["sha256"], manifest["tokenizer_hash"])
    return Base(model, codec, weights_hash(manifest), manifest["tokenizer_hash"], manifest.get("all_pieces", False))


def measured_model(folder: Path | None = None) -> Base:
    """The same, to be measured on held-out pieces.

    Raises:
        InputError: where it has learnt from them.
    """
    base = load_model(folder)
    if base.all_pieces:
        raise InputError(
            f"{folder or shipped_model()}: has learnt from validation and test pieces, and can't be measured on them; "
            "for a model that can, set STYLETRANSFER_WEIGHTS=eval/measured."
        )
    return base


def melody_codec(folder: Path | None = None) -> Codec:
    """The tokenizer of a base model that can follow a melody.

    Raises:
        InputError: where it can't.
    """
    codec = load_model(folder).codec
    if not isinstance(codec, Codec):
        raise InputError(f"{folder}: this model's plain MidiTok tokenizer knows no melodies; it can only generate.")
    return codec


def voices_in(
    style: str, feel: Feel, quarters_per_minute: float, strength: float, folder: Path | None, tune: str = ""
) -> list[Voice]:
    """The predictions that make up a style or a blend, for the sampler; ``tune``: what the model is told that the tune is."""
    from styletransfer.model.sampling import voices_of

    names, asked = load_model(folder).codec.vocabulary, parse_style(style)
    for one, _ in asked:
        if f"COMPOSER_{one.composer}" not in names:
            raise InputError(f"--style {one.name}: this base model is older than that name and doesn't know it.")

    styles = [
        (load_style(one, folder), replace(one.controls(feel, quarters_per_minute), tune=tune), weight) for one, weight in asked
    ]
    return voices_of(load_model(folder).model, styles, strength)


def load_style(style: Style, folder: Path | None = None) -> Weights:
    """A style's model: a base with its adapter. A shipped composer or era is known to another base by its tag alone."""
    return _styled(style, folder or shipped_model())


@lru_cache(maxsize=8)
def _styled(style: Style, folder: Path) -> Weights:
    from styletransfer.model.adapters import load_adapter

    base = load_model(folder)
    foreign = style.card is not None and style.card.base != base.weights_hash
    if foreign and style.kind in ("composer", "era") and style.ships:
        return base.model
    return load_adapter(base.model, base.weights_hash, base.tokenizer_hash, style)


def shipped_model() -> Path:
    """The folder of the base that is used where no other is given."""
    return weights_folder() / "base"


def assemble(melody: Piece, codec: Codec, plan: Plan, candidate: Candidate, touch: Touch = USUAL, first: int = 0) -> Piece:
    """Melody and accompaniment as one piece of three parts; the melody's own ticks, pitches and durations are untouched.

    ``touch``: how a score is played; a performance has the velocities that the model gave it. ``first``: the bar with which the
    accompaniment begins."""
    bar, step, duration, pitch, loud = decoded(codec, candidate.bars, first)
    onset_steps = plan.bar_start[bar] + step
    told = plan.melody if plan.held is None else plan.held
    locked = {(int(plan.bar_start[b]) + e.step, e.pitch) for b, events in enumerate(told or ()) for e in events}
    own = np.array([(int(s), int(p)) in locked for s, p in zip(onset_steps, pitch, strict=True)], bool)
    ornaments = is_ornament(plan, onset_steps, pitch) if plan.held is not None else np.zeros(len(own), bool)
    own |= ornaments
    onset, length = in_quarters(melody, plan, bar, step, duration)
    accompaniment = make_notes(onset[~own], length[~own], pitch[~own], loud[~own])
    accompaniment["part"] = 1 + split_hands(accompaniment)
    if plan.held is not None:
        tune = ornamented(melody, make_notes(onset[ornaments], length[ornaments], pitch[ornaments]))
    elif plan.locked:
        tune = melody.notes.copy()
    else:
        tune = as_it_came(melody, plan_steps(melody, plan), onset_steps, pitch)
    if plan.feel == "performance" and own.any():
        order = np.argsort(onset_steps[own], kind="stable")
        nearest = np.searchsorted(onset_steps[own][order], plan_steps(melody.with_notes(tune), plan), side="right") - 1
        tune["velocity"] = sung(loud[own][order][np.clip(nearest, 0, None)], accompaniment["velocity"])
    notes = np.concatenate([tune, accompaniment])
    if plan.feel == "score":
        notes["velocity"] = velocities(notes, melody.bars, touch)
    return melody.with_notes(notes)


def ranked(
    candidates: list[Candidate],
    melody: Piece,
    arranged: list[Piece],
    indexes: list[Copies],
    parts: Parts,
    *,
    closes: bool = True,
) -> tuple[list[dict[str, float]], int]:
    """The ranker's measures of all candidates, and the number of the best. ``closes``: whether the piece ends with them."""
    scores = [rank_of(one, melody, piece, indexes, parts, closes) for one, piece in zip(candidates, arranged, strict=True)]
    return scores, max(range(len(scores)), key=lambda k: scores[k]["total"])


def indexes_for(style: str) -> list[Copies]:
    """The index that comes with the package, and those of the styles in a blend that learnt from other pieces, or are one."""
    blend = [one for one, _ in parse_style(style)]
    own = [one.path / COPIES for one in blend if one.path is not None]
    examples = [load_example(one.piece).copies for one in blend if one.piece is not None]
    return [shipped_copies(), *(Copies.load(path) for path in own if path.is_file()), *examples]


def rank_of(
    candidate: Candidate, melody: Piece, piece: Piece, indexes: list[Copies], parts: Parts, closes: bool = True
) -> dict[str, float]:
    """The ranker's measures of one candidate."""
    accompaniment = piece.notes[~piece.notes["melody"]]
    tempo = melody.tempo.quarters_per_minute()
    beats = piece.feel == "score" and len(melody.notes) > 0
    alike = likeness(parts, melody.notes, accompaniment) if beats else 0.0
    match, likely = match_of(piece, indexes), (candidate.style, candidate.plain)
    return rank.score(*likely, melody.notes, accompaniment, match, tempo, alike, closes=closes, bars=piece.bars)


def kept(melody: Piece, piece: Piece, *, ends: bool = True) -> int:
    """How many of the melody's notes are in a piece: the same onset and (with ``ends``) end to the tick, and the same pitch."""

    def keys(notes: NoteTable) -> list[tuple[int, int, int]]:
        ticks = melody.ticks_per_quarter
        onset = np.round(notes["onset"] * ticks).astype(int)
        end = np.round((notes["onset"] + notes["duration"]) * ticks * ends).astype(int)
        return list(zip(onset.tolist(), end.tolist(), notes["pitch"].tolist(), strict=True))

    present = set(keys(piece.notes))
    return sum(key in present for key in keys(melody.notes))
