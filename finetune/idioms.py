"""Measure how composers' accompaniments are made.

    python -m finetune.idioms --data data/prepared --write finetune/results/idioms.json

Writes ``styletransfer/assets/idioms.safetensors`` (:class:`styletransfer.music.idiom.Idioms`) from
training pieces: the mean figures of each composer with ten scores or more, with one covariance for
all; and for composers with fewer, but 60 excerpts of performances or more, the mean of these,
shifted to where scores would lie. Then it writes the profile of each shipped style that is no
composer's or era's into the style's folder, from the pieces that ``finetune.train`` prepared in
``--work``.

With ``--write``, a JSON file states how well composers are recognised in excerpts of other works:
of training scores in five folds of content groups, each by the means and the covariance of the
others, and of the validation and test scores.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from styletransfer import folders
from styletransfer.configuration import recipe_parser
from styletransfer.data.figures import ENOUGH, excerpt_figures, profile_of_library
from styletransfer.data.library import Library
from styletransfer.errors import InputError
from styletransfer.files import write_atomically
from styletransfer.folders import IDIOM
from styletransfer.music.idiom import LEAST, Idioms, save_profile, shipped_idioms
from styletransfer.tokens.controls import COMPOSER_ERAS

ASSET = Path("styletransfer/assets/idioms.safetensors")
EXCERPTS = 60
"""How many excerpts of performances show a composer with few scores."""
SHRINKAGE = 0.3
"""The share of the diagonal in the covariance."""
FOLDS = 5
Excerpts = tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.str_]]
"""Figures of excerpts, (excerpts, SIZE), with the composer and the content group of each."""


def means_of(scores: Excerpts, performances: Excerpts, enough: int, excerpts: int) -> Idioms:
    """Describe composers by their excerpts, without the usual log-probabilities.

    They are those with scores of ``enough`` works, and those with so many ``excerpts`` of
    performances.
    """
    found, composers, works = scores
    written = [name for name in COMPOSER_ERAS if len(set(works[composers == name])) >= enough]
    means = {name: found[composers == name].mean(0) for name in written}

    apart = np.concatenate([found[composers == name] - means[name] for name in written])
    covariance = apart.T @ apart / len(apart)
    covariance = (
        (1 - SHRINKAGE) * covariance
        + SHRINKAGE * np.diag(np.diag(covariance))
        + 1e-6 * np.eye(len(covariance))
    )

    centre = np.mean([means[name] for name in written], 0)
    heard, players, _ = performances
    playing = [name for name in COMPOSER_ERAS if (players == name).sum() >= excerpts]
    both = [name for name in playing if name in means]
    # Composers with both show how performances differ from scores, and so where the mean of all
    # composers' performances would lie.
    played = np.mean([heard[players == name].mean(0) - means[name] for name in both], 0) + centre
    one = Idioms((), (), np.zeros((0, len(centre))), np.linalg.inv(covariance), centre, played, {})
    means |= {
        name: one.on_beats(heard[players == name].mean(0)) for name in playing if name not in means
    }

    labels = tuple(name for name in COMPOSER_ERAS if name in means)
    eras = tuple(COMPOSER_ERAS[name] for name in labels)
    return replace(one, labels=labels, eras=eras, means=np.array([means[name] for name in labels]))


def learnt(
    scores: Excerpts, performances: Excerpts, enough: int, excerpts: int
) -> tuple[Idioms, NDArray[np.float64]]:
    """Describe composers by their excerpts, and cross-validate the description.

    The usual log-probability of a composer's excerpts comes from the cross-validation; for
    composers with too few works it is the mean of the others'.

    Returns:
        The composers, and log-probabilities of the scores' excerpts by the means of other content
        groups, in five folds, shape (excerpts, labels); -inf for a composer who is missing from the
        other folds.
    """
    made = means_of(scores, performances, enough, excerpts)
    found, composers, works = scores
    groups = sorted(set(works.tolist()))
    fold = dict(zip(groups, np.random.default_rng(0).permutation(len(groups)) % FOLDS, strict=True))
    folds = np.array([fold[work] for work in works.tolist()])
    logs = np.full((len(works), len(made.labels)), -np.inf)
    for number in range(FOLDS):
        held = folds == number
        others = ~np.isin(performances[2], works[held])
        one = means_of(
            some(scores, ~held),
            some(performances, others),
            max(enough // 2, 1),
            max(excerpts // 2, 1),
        )
        both = [label for label in one.labels if label in made.labels]
        columns = [[labels.index(label) for label in both] for labels in (made.labels, one.labels)]
        logs[np.ix_(held, columns[0])] = one.log_probabilities(found[held])[:, columns[1]]

    names, known, usual = (*made.labels, *dict.fromkeys(made.eras)), [], {}
    for name in names:
        own = [k for k, pair in enumerate(zip(made.labels, made.eras, strict=True)) if name in pair]
        rows = np.isin(composers, [made.labels[k] for k in own])
        if len(set(works[rows])) >= enough:
            usual[name] = _mean(np.logaddexp.reduce(logs[rows][:, own], 1))
            known += [usual[name]] if name in made.labels else []
    usual |= {name: float(np.mean(known)) for name in names if name not in usual}
    return replace(made, usual=usual), logs


def _mean(log_probabilities: NDArray[np.float64]) -> float:
    """Average the finite ones: a fold may lack a composer."""
    return float(log_probabilities[np.isfinite(log_probabilities)].mean())


def some(excerpts: Excerpts, rows: NDArray[np.bool_]) -> Excerpts:
    """Choose excerpts."""
    return excerpts[0][rows], excerpts[1][rows], excerpts[2][rows]


def recognition(
    log_probabilities: NDArray[np.float64], composers: NDArray[np.str_], labels: tuple[str, ...]
) -> dict[str, Any]:
    """Measure how well composers are recognised.

    Returns:
        For each composer, the number of excerpts, the share that is taken for theirs, the mean
        log-probability of the composer (nats), and that of others' excerpts; and the means over
        composers. Nothing where all excerpts are by one composer.
    """
    best, rows = np.array(labels)[log_probabilities.argmax(1)], {}
    for k, name in enumerate(labels):
        own = composers == name
        if 0 < own.sum() < len(own):
            rows[name] = {
                "excerpts": int(own.sum()),
                "taken": float((best[own] == name).mean()),
                "own": _mean(log_probabilities[own, k]),
                "others": _mean(log_probabilities[~own, k]),
            }

    means = {
        key: float(np.mean([row[key] for row in rows.values()]))
        for key in ("taken", "own", "others")
        if rows
    }
    rounded = {
        name: {key: round(value, 3) for key, value in row.items()} for name, row in rows.items()
    }
    return {
        "chance": round(1 / len(labels), 3),
        **{k: round(v, 3) for k, v in means.items()},
        "composers": rounded,
    }


def excerpts_of(library: Library, split: str | tuple[str, ...], feel: str) -> Excerpts:
    """Measure excerpts of a split."""
    found, pieces = excerpt_figures(library, library.select(split=split, feel=feel))
    names = [(library.pieces[k].composer, library.pieces[k].group) for k in pieces.tolist()]
    return found, np.array([name for name, _ in names]), np.array([group for _, group in names])


def idioms_in(library: Library, groups: set[str]) -> Idioms:
    """Describe composers by training pieces of some content groups, half of all."""
    scores, performances = (
        excerpts_of(library, "train", feel) for feel in ("score", "performance")
    )
    own = [some(one, np.isin(one[2], sorted(groups))) for one in (scores, performances)]
    return learnt(own[0], own[1], ENOUGH // 2, EXCERPTS // 2)[0]


def report(library: Library) -> tuple[Idioms, dict[str, Any]]:
    """Describe composers by training pieces, and measure how well that works."""
    scores = excerpts_of(library, "train", "score")
    made, logs = learnt(scores, excerpts_of(library, "train", "performance"), ENOUGH, EXCERPTS)
    later, writers, _ = excerpts_of(library, ("validation", "test"), "score")
    short = [
        logs[k, made.labels.index(name)] - made.usual[name]
        for k, name in enumerate(scores[1])
        if name in made.labels
    ]
    return made, {
        "made_by": "finetune.idioms",
        "data": library.hash,
        "usual": {name: round(value, 3) for name, value in made.usual.items()},
        "own excerpts below the least": round(float((np.array(short) < LEAST).mean()), 4),
        "training scores, other works": recognition(logs, scores[1], made.labels),
        "validation and test scores": recognition(
            made.log_probabilities(later), writers, made.labels
        ),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and write, and return the exit code."""
    parser = recipe_parser(__doc__, data=True)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/styles"), help="that of finetune.train"
    )
    parser.add_argument(
        "--styles",
        type=Path,
        nargs="+",
        default=[folders.shipped()],
        help="the folders of styles that get their profiles",
    )
    parser.add_argument("--write", type=Path, help="a JSON file")
    arguments = parser.parse_args(argv)

    from finetune.train import OTHERS, corpus_of

    try:
        made, found = report(Library.load(arguments.data))
        made.save(ASSET)
        shipped_idioms.cache_clear()
        for name in OTHERS:
            profile = profile_of_library(corpus_of(name, arguments.work))
            assert profile is not None
            for folder in arguments.styles:
                save_profile(folder / name / IDIOM, profile)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    text = json.dumps(found, indent=1)
    if arguments.write:
        write_atomically(arguments.write, (text + "\n").encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
