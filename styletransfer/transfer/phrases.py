"""A song is composed phrase by phrase: of a phrase's candidates the best is what those of the next
go on from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from styletransfer.tokens.plan import Plan

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate

PHRASE = 8
"""Bars of a phrase: those of a usual period, and in 4/4 as long as the excerpts by which the ranker
was fitted.
"""
Progress = Callable[[float], None]


def ends_of(plan: Plan) -> list[int]:
    """The number of bars up to the end of each phrase, the last one's included. A pick-up belongs
    to the first, and what is shorter than half a phrase to the one before."""
    first, last = len(plan.given), plan.bars if plan.stop is None else plan.stop
    whole = first + (first == 0 and plan.bar_start[0] < 0)
    return [*range(whole + PHRASE, last - PHRASE // 2 + 1, PHRASE), last]


def by_phrases(
    plan: Plan,
    compose: Callable[[Plan, Progress | None], list[Candidate]],
    choose: Callable[[list[Candidate], int, int], tuple[int, float]],
    progress: Progress | None = None,
    *,
    partial: bool = False,
) -> tuple[list[Candidate], list[dict[str, Any]]]:
    """The candidates of a plan's last phrase, each with what was chosen before it, and the choices:
    one of each phrase, where there are several.

    ``compose`` makes the candidates of a plan, or some whole bars of them where it is stopped: then
    these are the last. So are those of which Ctrl-C doesn't let ``choose`` tell the best one
    between two bars, and its score, with ``partial``.
    """
    ends, chosen = ends_of(plan), []
    begin = first = len(plan.given)
    for end in ends:

        def shared(share: float, first: int = first, end: int = end) -> None:
            assert progress is not None
            progress((first - begin + share * (end - first)) / (ends[-1] - begin))

        candidates = compose(replace(plan, stop=end), progress and shared)
        if len(ends) == 1 or candidates[0].stopped:
            break
        try:
            best, total = choose(candidates, first, end)
        except KeyboardInterrupt:
            if not partial:
                raise
            break
        chosen.append({"bars": [first, end], "candidate": best, "total": total})
        plan, first = (
            replace(plan.of_candidate(best), given=tuple(map(tuple, candidates[best].bars))),
            end,
        )
    return candidates, chosen
