"""Compose candidates, choose among them, and put them together.

A task is arranged whole or phrase by phrase (:mod:`.phrases`), some bars of an earlier arrangement
are made again, and music is added after the tune; each gives a :class:`Take`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from styletransfer.model.loading import load_model, voices_in
from styletransfer.music.chords import ChordTable
from styletransfer.music.notes import BarTable, Piece
from styletransfer.music.tune_key import key_of_tune
from styletransfer.styles.touch import touch_of
from styletransfer.tokens.plan import Plan
from styletransfer.transfer.assemble import assemble
from styletransfer.transfer.continuation import (
    add_bars,
    add_harmony,
    append_notes,
    chords_after,
    notes_after,
)
from styletransfer.transfer.live import Live, hearing
from styletransfer.transfer.phrases import Progress, by_phrases
from styletransfer.transfer.provenance import provenance_of
from styletransfer.transfer.ranking.choice import indexes_for, rank_candidates
from styletransfer.transfer.ranking.likeness import parts_of
from styletransfer.transfer.rework import reworked_steps, splice
from styletransfer.transfer.task import Task
from styletransfer.transfer.timing import cut, edge_of

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate, Voice


@dataclass(frozen=True)
class Take:
    """What was composed.

    ``plan``: what it was composed under. ``pieces``: the candidates put together, in their order;
    ``scores``: the ranker's measures of each; ``best``: the number of the one that is chosen.
    ``bars``: those of the pieces; ``chords``: their harmony, if it was planned. ``phrases``: what
    was chosen phrase by phrase, as :func:`.phrases.by_phrases` has it. ``window``: from and to
    which quarter the music is new; None: all of it.
    """

    plan: Plan
    candidates: list[Candidate]
    pieces: list[Piece]
    scores: list[dict[str, float]]
    best: int
    bars: BarTable
    chords: ChordTable | None = None
    phrases: Sequence[dict[str, Any]] = ()
    window: tuple[float, float] | None = None

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C ended it before its last bar."""
        return bars_done(self.candidates) < last_bar(self.plan)


def bars_done(candidates: list[Candidate]) -> int:
    """Count the bars that candidates have, given ones included: as many in each."""
    return len(candidates[0].bars)


def last_bar(plan: Plan) -> int:
    """Give the number of bars up to the end of what a plan asks for."""
    return plan.bars if plan.stop is None else plan.stop


class Studio:
    """A task, and everything that is needed to compose it.

    ``voices``: the style as the sampler takes it. ``touch``: how it is played. ``provenance``: what
    the arrangement is made of. ``indexes``: of the pieces from which nothing may be copied.
    ``parts``: the style as the ranker takes it. They are loaded at once, so that what is damaged is
    reported before the work.

    Raises:
        InputError: where the style's files are damaged, or the model doesn't know it.
    """

    def __init__(self, task: Task, live: Live | None = None, *, partial: bool = False) -> None:
        self.task, self.live, self.partial = task, live, partial
        self._phrase = 0
        if live is not None:
            live.tune(task.source.melody)
        request, tune = task.request, ""
        if task.plan.references:
            tune = "texture" if request.on_top else "part"
        self.voices = self._voices(tune)
        self.touch = touch_of(request.style)
        self.provenance = provenance_of(request, load_model(request.model))
        self.indexes = indexes_for(request.style)
        self.parts = parts_of(request.style)

    def _voices(self, tune: str) -> list[Voice]:
        """Return the style's voices for the kind of ``tune`` that the model is given."""
        request, melody = self.task.request, self.task.source.melody
        tempo = melody.tempo.quarters_per_minute()
        strength = request.sampling.strength
        return voices_in(request.style, melody.feel, tempo, strength, request.model, tune)

    def arrange(self, progress: Progress | None = None) -> Take:
        """Arrange the whole tune, or, stopped by Ctrl-C, its first bars."""
        plan = self.task.plan
        candidates, phrases = self._candidates(progress)
        pieces = [self._assemble(one) for one in candidates]
        if bars_done(candidates) < last_bar(plan):
            pieces = [cut(piece, plan, bars_done(candidates)) for piece in pieces]
        return self._take(candidates, phrases, pieces)

    def rework(self, progress: Progress | None = None) -> Take:
        """Make some bars of an earlier arrangement again; every other note stays.

        Raises:
            KeyboardInterrupt: where Ctrl-C stopped it before the first of them was done.
        """
        plan, earlier = self.task.plan, self.task.source.piece
        candidates, phrases = self._candidates(progress)
        if bars_done(candidates) == len(plan.given):
            raise KeyboardInterrupt
        new = replace(plan, stop=bars_done(candidates))
        begin, end = (edge_of(earlier, plan, step) for step in reworked_steps(new))
        pieces = [splice(earlier, self._assemble(one), new) for one in candidates]
        return replace(self._take(candidates, phrases, pieces), window=(begin, end))

    def arrange_and_continue(self, progress: Progress | None = None) -> Take:
        """Arrange the tune, then continue after it from the best arrangement."""
        take = self.arrange(_between(progress, 0.0, 0.5))
        return take if take.stopped else self._continue(take, _between(progress, 0.5, 1.0))

    def _candidates(
        self, progress: Progress | None
    ) -> tuple[list[Candidate], list[dict[str, Any]]]:
        """Compose the candidates of the task's plan, by phrases where that is asked for."""
        request, plan = self.task.request, self.task.plan
        if request.choose == "whole" or request.sampling.candidates == 1:
            return self._compose(plan, progress), []
        return by_phrases(plan, self._compose, self._choose, progress, partial=self.partial)

    def _compose(self, plan: Plan, progress: Progress | None) -> list[Candidate]:
        """Compose the candidates of the task's plan up to its stop."""
        return self._sample(self.voices, plan, self.task.source.melody, progress)

    def _sample(
        self, voices: list[Voice], plan: Plan, tune: Piece, progress: Progress | None
    ) -> list[Candidate]:
        """Decode the candidates of a plan; ``tune`` has the time of its bars."""
        # Imported here, as a song that can't be read is reported before torch is loaded.
        from styletransfer.model.sampling import sample

        codec, sampling = self.task.codec, self.task.request.sampling
        heard = hearing(self.live, self._phrase, tune, codec, plan, self.touch)
        partial = self.partial
        return sample(voices, codec, plan, sampling, progress, partial=partial, heard=heard)

    def _assemble(self, candidate: Candidate, first: int = 0) -> Piece:
        """Put melody and accompaniment together, the latter from bar ``first`` on."""
        task = self.task
        return assemble(task.source.melody, task.codec, task.plan, candidate, self.touch, first)

    def _stretch(self, candidate: Candidate, first: int, end: int) -> Piece:
        """Put some bars of a candidate together with the melody."""
        return cut(self._assemble(candidate, first), self.task.plan, end, first)

    def _choose(self, candidates: list[Candidate], first: int, end: int) -> tuple[int, float]:
        """Choose among candidates by some of their bars.

        Returns:
            The number of the best, and its total.
        """
        plan, melody = self.task.plan, self.task.source.melody
        pieces = [self._stretch(one, first, end) for one in candidates]
        tune = cut(melody, plan, end, first)
        scores, best = self._rank(candidates, tune, pieces, closes=end == plan.bars)
        self._tell_choice(best)
        return best, scores[best]["total"]

    def _tell_choice(self, best: int) -> None:
        """Report which candidate of the phrase continues, and begin the next phrase."""
        if self.live is not None:
            self.live.chosen(self._phrase, best)
        self._phrase += 1

    def _rank(
        self, candidates: list[Candidate], tune: Piece, pieces: list[Piece], *, closes: bool = True
    ) -> tuple[list[dict[str, float]], int]:
        """Measure candidates, and find the number of the best."""
        return rank_candidates(candidates, tune, pieces, self.indexes, self.parts, closes=closes)

    def _take(
        self, candidates: list[Candidate], phrases: list[dict[str, Any]], pieces: list[Piece]
    ) -> Take:
        """Rank arrangements of the tune; the choice of a last phrase stands."""
        task = self.task
        scores, best = self._rank(candidates, task.source.melody, pieces)
        if phrases and phrases[-1]["bars"][1] == last_bar(task.plan):
            best = int(phrases[-1]["candidate"])
        else:
            self._tell_choice(best)
        bars = task.source.melody.bars
        return Take(task.plan, candidates, pieces, scores, best, bars, task.chords, phrases)

    def _continue(self, take: Take, progress: Progress | None) -> Take:
        """Continue after the tune from the best arrangement.

        It is continued in as many ways as there are candidates.
        """
        request, melody, codec = self.task.request, self.task.source.melody, self.task.codec
        assert request.seconds is not None
        seconds, first = request.seconds, take.plan.bars
        tune, plan = add_bars(take.pieces[take.best], codec, take.plan, seconds)
        bars, chords, voices = take.bars, take.chords, self.voices
        if chords is not None:
            bars = tune.bars
            chords = chords_after(chords, bars, first, key_of_tune(melody))
            plan = add_harmony(plan, take.plan, chords)
            voices = self._voices("part")
        plan = replace(plan, **take.plan.faithful_to(take.candidates[take.best].figure))

        candidates = self._sample(voices, plan, tune, progress)
        done = bars_done(candidates)
        new = [notes_after(codec, plan, tune, one.bars) for one in candidates]
        pieces = [append_notes(tune, notes, seconds, self.touch) for notes in new]
        if done < plan.bars:
            pieces = [cut(piece, plan, done) for piece in pieces]

        scores, best = self._rank(candidates, melody, pieces)
        if chords is not None:
            # What is new is ranked alone: with the tune, silence after it would count for nothing.
            after = [cut(piece, plan, done, first) for piece in pieces]
            silent, closes = melody.with_notes(melody.notes[:0]), done == plan.bars
            best = self._rank(candidates, silent, after, closes=closes)[1]
        self._tell_choice(best)
        return Take(plan, candidates, pieces, scores, best, bars, chords, take.phrases)


def _between(progress: Progress | None, begin: float, end: float) -> Progress | None:
    """Count a part of the work as that between two shares of all of it."""
    if progress is None:
        return None
    return lambda share: progress(begin + (end - begin) * share)
