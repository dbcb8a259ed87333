"""The voices of a staff, and their chords."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from styletransfer.engraving.grid import QUARTER, Bar, Tone, bar_at
from styletransfer.music.grip import SPAN

BEAM = 32
"""How many ways of making two voices the search follows at once."""
CUT_COST, LENGTHEN_COST, SECOND_COST, SPLIT_COST, CROSSING_COST, REST_COST = (
    1.0,
    0.8,
    0.1,
    0.25,
    1.5,
    0.25,
)
"""Costs of a quarter cut off a note, of a quarter added, of using the second voice, of splitting a
chord that could be one, of voices that cross, of a voice that begins or stands alone among rests.
Chosen by looking at pages."""
OFF_BEAT = 3
"""The factor by which the cost grows where a second voice begins off the beat."""


@dataclass(frozen=True)
class Sound:
    """A note or chord of one voice, in ticks.

    ``tied`` are those of its ``pitches`` that continue from the sound before.
    """

    start: int
    end: int
    pitches: tuple[int, ...]
    tied: frozenset[int] = frozenset()


def sounds(
    tones: list[Tone], bars: list[Bar], join: int, others: Iterable[Tone] = ()
) -> list[Sound]:
    """Make one voice of notes: chords, ties and ends.

    Notes that begin together are a chord, and what overlaps the next sound is tied to it or ends
    there. A note is tied where it still lasts a quarter or more, at most two onsets fall within it,
    and the hand can hold it.

    Args:
        tones: the voice's notes.
        bars: the bars of the page.
        join: ticks of rest before the next onset or the bar line that are no rest: the note lasts
            until there.
        others: the notes of other voices; no note lasts until one of them strikes its pitch again.
    """
    struck: dict[int, list[int]] = defaultdict(list)
    for tone in sorted(others):
        struck[tone.pitch].append(tone.start)

    groups: dict[int, dict[int, int]] = defaultdict(dict)
    for tone in tones:
        groups[tone.start][tone.pitch] = max(tone.end, groups[tone.start].get(tone.pitch, 0))

    starts = sorted(groups)
    voice: list[Sound] = []
    held: dict[int, int] = {}
    for index, start in enumerate(starts):
        chord = held | groups[start]
        tied = frozenset(held.keys() - groups[start].keys())
        again = [
            place
            for pitch in chord
            for place in struck[pitch][bisect_right(struck[pitch], start) :][:1]
        ]
        end, held, later = min([max(chord.values()), *again]), {}, starts[index + 1 :]
        if later and end >= later[0]:
            end = later[0]
            for pitch, until in chord.items():
                reach = [pitch, *groups[end]]
                within = sum(other < until for other in later[:3])
                if until - end >= QUARTER and within <= 2 and max(reach) - min(reach) <= SPAN:
                    held[pitch] = until
        voice.append(
            Sound(
                start,
                _filled(start, end, bar_at(bars, end - 1), [*later[:1], *again], join),
                tuple(sorted(chord)),
                tied,
            )
        )

    return voice


def _filled(start: int, end: int, bar: Bar, later: list[int], join: int) -> int:
    """Return where a sound ends once short rests are filled.

    A sound that is plainly divided lasts whole eighths where it may.
    """
    limit = min([bar.end, *later])
    if limit - end <= join:
        return limit
    eighth = QUARTER // 2
    place = end - bar.start + bar.offset
    whole = end + -place % eighth
    return whole if join > eighth // 2 and start % (eighth // 2) == 0 and whole <= limit else end


class _State(NamedTuple):
    """Two voices up to some onset: sounding notes as (pitch, end), and their past."""

    cost: float
    upper: tuple[tuple[int, int], ...]
    lower: tuple[tuple[int, int], ...]
    past: tuple[int, tuple[int, ...]] | tuple[()]  # splits, newest first, as a linked list


def two_voices(tones: list[Tone], bars: list[Bar]) -> tuple[list[Tone], list[Tone]]:
    """Split a staff's notes into two voices, upper and lower.

    The lower voice only has notes where one voice can't do it. At each onset the lowest few notes,
    often none, go to the lower voice. A beam search finds the ways that cut and lengthen notes
    least.
    """
    groups: dict[int, list[Tone]] = defaultdict(list)
    for tone in sorted(tones, key=lambda tone: (tone.start, tone.pitch)):
        groups[tone.start].append(tone)

    states = [_State(0.0, (), (), ())]
    for start in sorted(groups):
        chord, bar = groups[start], bar_at(bars, start)
        on_beat = (start - bar.start + bar.offset) % bar.beat == 0
        entry = REST_COST if on_beat else REST_COST * OFF_BEAT
        best: dict[tuple[tuple[tuple[int, int], ...], ...], _State] = {}
        for state in states:
            for split in range(len(chord) + 1):
                new = _next(state, chord, start, split, entry)
                key = (new.upper, new.lower)
                if key not in best or new.cost < best[key].cost:
                    best[key] = new
        states = sorted(best.values(), key=lambda state: state.cost)[:BEAM]

    past, splits = states[0].past, list[int]()
    while past:
        splits.append(past[0])
        past = past[1]  # type: ignore[assignment]  # a linked list has no finite type

    upper, lower = list[Tone](), list[Tone]()
    for start, split in zip(sorted(groups), reversed(splits), strict=True):
        lower += groups[start][:split]
        upper += groups[start][split:]

    return upper, lower


def _next(state: _State, chord: list[Tone], start: int, split: int, entry: float) -> _State:
    """Return the state after a chord that is split between the voices.

    The lowest ``split`` notes go to the lower voice; ``entry`` is the cost of a lower voice that
    begins.
    """
    low, high = chord[:split], chord[split:]
    cost = state.cost
    alive = [tuple((p, e) for p, e in voice if e > start) for voice in (state.upper, state.lower)]
    for notes, before in ((high, alive[0]), (low, alive[1])):
        if notes:
            cost += CUT_COST * sum(min(e - start, 2 * QUARTER) for _, e in before) / QUARTER
            added = max(n.end for n in notes) - min(n.end for n in notes)
            cost += LENGTHEN_COST * min(added, 2 * QUARTER) / QUARTER

    if low:
        cost += SECOND_COST
        if high and max(n.end for n in high) == max(n.end for n in low):
            cost += SPLIT_COST
        if not high and any(n.pitch >= p for n in low for p, _ in alive[0]):
            cost += CROSSING_COST
        if not high and not alive[0]:
            cost += REST_COST
        if not alive[1]:
            cost += entry
    elif high and any(n.pitch <= p for n in high for p, _ in alive[1]):
        cost += CROSSING_COST
    upper = tuple((n.pitch, n.end) for n in high) if high else alive[0]
    lower = tuple((n.pitch, n.end) for n in low) if low else alive[1]
    return _State(cost, upper, lower, (split, state.past))  # type: ignore[arg-type]
