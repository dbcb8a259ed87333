"""Judge and measure outputs, and compare the systems, as plain data.

Measures are kept in a file for each piece, under a hash of the piece and of the code that measures
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eval.outputs import Output
from eval.sampler import code_hash, digest
from eval.systems import (
    ADAPTER,
    BASE,
    BOTH,
    CHORDS,
    MELODY,
    REAL,
    REAL_PERFORMANCES,
    REAL_SCORES,
    SAMPLED,
    TAG,
    WRONG,
)
from styletransfer.errors import InputError
from styletransfer.evaluation.comparison import Comparison, Judged, means, plain
from styletransfer.evaluation.measures.originality import NgramIndex
from styletransfer.evaluation.measures.overview import (
    Measured,
    Reference,
    beside,
    measure,
    set_measures,
)
from styletransfer.music.notes import Piece

MEASURING = tuple(
    f"evaluation.measures.{name}"
    for name in ("fidelity", "harmony", "overview", "originality", "quality", "structure", "chroma")
)
PAIRS = [
    (BOTH, TAG),
    (BOTH, ADAPTER),
    (ADAPTER, TAG),
    (TAG, BASE),
    (BOTH, BASE),
    (BOTH, WRONG),
    (BOTH, CHORDS),
]
"""Systems whose paired differences are reported."""


class Judge(Protocol):
    """What the report needs of :mod:`styletransfer.evaluation.judges.judge`."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def probabilities(
        self, piece: Piece, removed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Rate a piece without the notes that are marked as removed.

        Returns:
            Shape (labels,).

        Raises:
            InputError: if too few notes are left.
        """
        ...


class Measurer:
    """Measures of outputs, kept in a folder."""

    def __init__(self, folder: Path, indexes: Sequence[NgramIndex]) -> None:
        self.folder, self.indexes = folder, indexes
        self._code = [code_hash(MEASURING), *(index.about + index.mode for index in indexes)]

    def measure(self, one: Output) -> Measured:
        """Measure an output, or read what was measured before."""
        from styletransfer.files import write_atomically

        song = None if one.is_real else one.song
        melody, name = one.piece.notes["melody"].tolist(), song.slug if song else None
        path = self.folder / f"{digest(self._code, one.piece, melody, name)}.json"
        if not path.exists():
            transposition = 12 * one.song.octaves
            found = measure(
                one.piece,
                song=song.source if song else None,
                transposition=transposition,
                indexes=self.indexes,
            )
            kept = {"numbers": found.numbers, "nearest": found.nearest}
            kept["features"] = {name: values.tolist() for name, values in found.features.items()}
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(kept).encode())
        data = json.loads(path.read_text(encoding="utf-8"))
        arrays = {name: np.array(values) for name, values in data["features"].items()}
        return Measured(data["numbers"], data["nearest"], arrays)


class Bench:
    """A judge, or two for cross-fit adapters.

    The judge trained on half B rates what half A's adapter arranged. All systems' outputs for a
    song, real excerpts included, are rated by the same judge.
    """

    def __init__(self, judges: dict[str, Judge]) -> None:
        self.judges = judges
        self.labels = next(iter(judges.values())).labels
        if any(judge.labels != self.labels for judge in judges.values()):
            raise InputError("the judges of the two halves have different labels.")
        self._heard: dict[tuple[str, str, bool], tuple[float, ...] | None] = {}

    def hear(self, one: Output) -> Judged:
        """Have an output rated by its judge."""
        alone = Output(
            MELODY, one.target, one.song, 0, f"{MELODY}/{one.song.slug}", one.group, one.song.melody
        )
        whole, rest, before = (
            self._probabilities(one, False),
            self._probabilities(one, True),
            self._probabilities(alone, False),
        )
        return Judged(one.system, one.target, one.group, whole, rest, before, one.is_real)

    def _probabilities(self, one: Output, remove: bool) -> tuple[float, ...] | None:
        """Return the labels' probabilities, None where too few notes are left."""
        half = one.song.half
        key = (one.id, half, remove)
        if key not in self._heard:
            judge = self.judges[half]
            try:
                found = judge.probabilities(
                    one.piece, one.piece.notes["melody"] if remove else None
                )
                self._heard[key] = tuple(float(value) for value in found)
            except InputError:
                self._heard[key] = None
        return self._heard[key]


def by_seed(
    judged: Sequence[Judged], outputs: Sequence[Output], labels: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return each seed's accuracy of whole outputs, for each system that samples.

    With several training runs, seed k is that of run k.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in sorted({one.seed for one in outputs if one.system in SAMPLED}):
        alone = [
            ear
            for ear, one in zip(judged, outputs, strict=True)
            if one.system in SAMPLED and one.seed == seed
        ]
        comparison = Comparison(alone, labels, MELODY, REAL_SCORES)
        for system in comparison.systems:
            found.setdefault(system, []).append(
                plain(comparison.statistic(system, "accuracy").interval())
            )
    return found


def row_of(
    one: Output, judged: dict[str, Judged], measured: Measured, near: dict[str, float]
) -> dict[str, Any]:
    """Return an output as a row of the report's JSON."""
    numbers = {name: _short(value) for name, value in (measured.numbers | near).items()}
    heard = {
        name: {
            "whole": _rounded(found.whole),
            "rest": _rounded(found.rest),
            "melody_alone": _rounded(found.before),
        }
        for name, found in judged.items()
    }
    return {
        "system": one.system,
        "target": one.target,
        "melody": one.song.slug,
        "seed": one.seed,
        "output": one.id,
        "group": one.group,
        "judged": heard,
        "measures": numbers,
        "nearest": measured.nearest,
    }


def near_of(one: Output, measured: Measured, reference: Reference) -> dict[str, float]:
    """Measure distances from real scores; a performance has other units, and so none."""
    return {} if one.piece.feel == "performance" else beside(one.piece, measured.numbers, reference)


def _short(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _rounded(values: tuple[float, ...] | None) -> list[float] | None:
    return None if values is None else [round(value, 4) for value in values]


def compared(
    outputs: Sequence[Output],
    systems: Sequence[str],
    references: dict[str, Reference],
    measurer: Measurer,
    benches: dict[str, Bench],
    tracked: Callable[[Sequence[Output]], Any],
) -> dict[str, Any]:
    """Compare the systems on one group of styles, as plain data.

    There is a row for each output.

    Args:
        outputs: of all systems.
        systems: their names, in order.
        references: real pieces by style.
        measurer: takes the measures.
        benches: the judges by name.
        tracked: passes the outputs on, and shows the progress.
    """
    rows: list[dict[str, Any]] = []
    judged: dict[str, list[Judged]] = {name: [] for name in benches}
    measured: list[tuple[Output, Measured]] = []
    for one in tracked(outputs):
        found = measurer.measure(one)
        heard = {name: bench.hear(one) for name, bench in benches.items()}
        for name, ear in heard.items():
            judged[name].append(ear)
        measured.append((one, found))
        rows.append(row_of(one, heard, found, near_of(one, found, references[one.target])))

    numbers = _measures(systems, references, rows, measured)
    return {
        "systems": list(systems),
        "references": {name: len(reference.features) for name, reference in references.items()},
        "judges": {
            name: Comparison(judged[name], bench.labels, MELODY, REAL_SCORES).report(PAIRS)
            for name, bench in benches.items()
        },
        "by_seed": {
            name: by_seed(judged[name], outputs, bench.labels) for name, bench in benches.items()
        },
        "measures": numbers,
        "rows": rows,
    }


def _measures(
    systems: Sequence[str],
    references: dict[str, Reference],
    rows: Sequence[dict[str, Any]],
    measured: Sequence[tuple[Output, Measured]],
) -> dict[str, Any]:
    """Return means of each system's measures, and compare its pieces with real ones.

    Args:
        systems: their names.
        references: real pieces by style.
        rows: of all outputs, as :func:`row_of` gives them.
        measured: the outputs with their measures.
    """
    numbers = {}
    for system in systems:
        mine = [row for row in rows if row["system"] == system]
        known = [
            (
                row["target"],
                row["group"],
                {k: v for k, v in row["measures"].items() if v is not None},
            )
            for row in mine
        ]
        sets = {}
        for target, reference in references.items():
            every = [
                found.features
                for one, found in measured
                if (one.system, one.target) == (system, target)
            ]
            if system != REAL_PERFORMANCES:
                sets[target] = {
                    name: _short(value) for name, value in set_measures(every, reference).items()
                }

        numbers[system] = {"means": means(known, real=system in REAL), "sets": sets}
    return numbers
