"""Compose a song phrase by phrase, each after the best one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from styletransfer.tokens.plan import Plan

if TYPE_CHECKING:
    from styletransfer.model.sampling import Candidate

PHRASE = 8
"""Bars of a phrase: those of a usual period.

In 4/4 they are as long as the excerpts by which the ranker was fitted.
"""
Progress = Callable[[float], None]


def ends_of(plan: Plan) -> list[int]:
    """Count the bars up to the end of each phrase, the last one's included.

    A pick-up belongs to the first phrase; what is shorter than half a phrase belongs to the one
    before.
    """
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
    """Compose phrase by phrase.

    Args:
        plan: of all bars.
        compose: makes the candidates of a plan, or some whole bars of them where it is stopped;
            then these are the last.
        choose: finds the best candidate by its bars from one up to another, and its score.
        progress: called with the share that is done.
        partial: where Ctrl-C interrupts the choice, keep the candidates of that phrase as the last.

    Returns:
        The candidates of the last phrase, each after what was chosen before it; and the choices,
        one for each phrase, where there are several.
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
