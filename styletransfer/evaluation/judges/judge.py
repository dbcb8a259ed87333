"""Judge composer or era from the notes alone, as probabilities.

A judge is arrays and JSON: which features of :mod:`styletransfer.evaluation.judges.features` it
reads, their means, one scale, the weights of one layer (J1, multinomial logistic regression) or two
(J2, a network with rectified linear units), and its calibration. Training needs scikit-learn
(:mod:`styletransfer.evaluation.judges.training`), judging only numpy.

Calibration: a piece of n excerpts has the probabilities softmax(sharpness * n ** growth * mean
log-probability). With growth 0 a long piece would be as doubtful as an excerpt, with growth 1 its
excerpts would be independent witnesses. Both numbers minimise the negative log-likelihood of
validation pieces and their beginnings (temperature scaling: C. Guo et al., "On calibration of
modern neural networks", ICML 2017, here with the number of excerpts).

A judge is two files, ``NAME.safetensors`` and ``NAME.json``; the second holds the first one's
SHA-256.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from styletransfer.errors import InputError
from styletransfer.evaluation.judges.blocks import NAMES
from styletransfer.evaluation.judges.features import VERSION, piece_features
from styletransfer.folders import ASSETS
from styletransfer.music.notes import Piece

KIND = "styletransfer-judge"
FOLDER = ASSETS / "judges"
"""Where the shipped judges are."""

FEATURES_HASH = hashlib.sha256(json.dumps([VERSION, NAMES]).encode()).hexdigest()
"""A hash of the features' names and version: a judge of other features is refused."""

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Judge:
    """A trained judge.

    Attributes:
        name: of the judge.
        labels: ids of composers or eras.
        columns: the features that it reads, shape (used,).
        mean: what is subtracted from them, shape (used,).
        scale: what they are divided by.
        layers: one or two of (weights of shape (in, out), bias of shape (out,)).
        sharpness: of the calibration.
        growth: of the calibration.
        card: what it was trained on and how it was measured.
    """

    name: str
    labels: tuple[str, ...]
    columns: NDArray[np.int64]
    mean: NDArray[np.float32]
    scale: float
    layers: tuple[Layer, ...]
    sharpness: float = 1.0
    growth: float = 0.0
    card: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = [len(self.columns), *(bias.shape[0] for _, bias in self.layers)]
        shapes = [weights.shape for weights, _ in self.layers]
        if shapes != list(itertools.pairwise(sizes)) or sizes[-1] != len(self.labels):
            raise ValueError("a judge's layers must lead from its columns to its labels")
        if (
            self.mean.shape != self.columns.shape
            or not len(self.layers)
            or not self.scale > 0
            or not self.sharpness > 0
        ):
            raise ValueError(
                "a judge needs a mean for each column, a layer, a positive scale and sharpness"
            )
        if len(self.columns) and not (self.columns.min() >= 0 and self.columns.max() < len(NAMES)):
            raise ValueError("a judge's columns must be features")
        if not all(
            np.isfinite(array).all()
            for array in (self.mean, *(part for layer in self.layers for part in layer))
        ):
            raise ValueError("a judge's arrays must be finite")

    def probabilities(
        self, piece: Piece, removed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Give the probability of each label, shape (labels,).

        Args:
            piece: the piece to judge.
            removed: shape (notes,), notes to leave out, such as ``piece.notes["melody"]``.

        Raises:
            InputError: if there are too few notes to judge.
        """
        return self.aggregate(self.log_probabilities(piece_features(piece, removed)))

    def segment_probabilities(
        self, piece: Piece, removed: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float64]:
        """Give the probabilities for each excerpt alone, shape (excerpts, labels).

        See :meth:`probabilities`.
        """
        return _softmax(self.sharpness * self.log_probabilities(piece_features(piece, removed)))

    def evidence(
        self, piece: Piece, label: str, removed: NDArray[np.bool_] | None = None, count: int = 10
    ) -> list[tuple[str, float]]:
        """Find the features most in favour of a label, and their part in its score.

        A negative number speaks against the label. The score is the mean over excerpts of the
        label's logit above the mean of all labels'. A feature's part is its deviation from the
        training data's mean times its weight: exact for one layer. With two layers the weight is
        that of the units which are on, and the parts, with those of the biases, add up as well.

        Raises:
            InputError: if the judge doesn't know the label, or there are too few notes.
        """
        if label not in self.labels:
            raise InputError(
                f"{label}: not among the labels of {self.name}: {', '.join(self.labels)}."
            )
        parts = self.contributions(piece_features(piece, removed), label).mean(axis=0)
        order = np.argsort(-np.abs(parts), kind="stable")[:count]
        return [(NAMES[self.columns[k]], float(parts[k])) for k in order]

    def contributions(self, rows: NDArray[np.floating], label: str) -> NDArray[np.float64]:
        """Give what each column adds to a label's logit above the mean logit.

        Args:
            rows: features, shape (excerpts, features).
            label: one of the labels.

        Returns:
            Shape (excerpts, used).
        """
        inputs = self._inputs(rows)
        weights, _ = self.layers[-1]
        wanted = weights[:, self.labels.index(label)] - weights.mean(axis=1)
        if len(self.layers) == 1:
            return np.asarray(inputs * wanted, np.float64)
        first, bias = self.layers[0]
        active = inputs @ first + bias > 0
        return np.asarray(inputs * ((active * wanted) @ first.T), np.float64)

    def log_probabilities(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        """Give log-probabilities before calibration.

        Args:
            rows: features, shape (excerpts, features).

        Returns:
            Shape (excerpts, labels).
        """
        values = self._inputs(rows)
        for weights, bias in self.layers[:-1]:
            values = np.maximum(values @ weights + bias, 0)
        weights, bias = self.layers[-1]
        logits = (values @ weights + bias).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float64)

    def aggregate(self, log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate the probabilities of a piece, as :func:`aggregate`."""
        return aggregate(log_probabilities, self.sharpness, self.growth)

    def _inputs(self, rows: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.asarray(
            (rows[:, self.columns].astype(np.float32) - self.mean) / np.float32(self.scale)
        )


def aggregate(
    log_probabilities: NDArray[np.float64], sharpness: float, growth: float
) -> NDArray[np.float64]:
    """Give the probabilities of a piece from its excerpts' log-probabilities.

    Args:
        log_probabilities: shape (excerpts, labels).
        sharpness: of the calibration.
        growth: of the calibration.

    Returns:
        Shape (labels,).
    """
    weight = sharpness * len(log_probabilities) ** growth
    return _softmax(weight * log_probabilities.mean(axis=0))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(values / values.sum(axis=-1, keepdims=True), np.float64)


def judges(folder: Path | None = None) -> tuple[str, ...]:
    """Name all judges there are, sorted."""
    return tuple(sorted(path.stem for path in (folder or FOLDER).glob("*.json")))


def load_judge(name: str, folder: Path | None = None) -> Judge:
    """Load a judge by name.

    Raises:
        InputError: if there is none of that name, or its files are damaged or of another version.
    """
    folder = folder or FOLDER
    if name not in judges(folder):
        raise InputError(f"{name}: no such judge; there are {', '.join(judges(folder)) or 'none'}.")
    try:
        content = (folder / f"{name}.safetensors").read_bytes()
        head = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if head["kind"] != KIND or head["sha256"] != hashlib.sha256(content).hexdigest():
            raise ValueError("its arrays don't match its SHA-256")
        if head["features"] != FEATURES_HASH:
            raise ValueError("it was made for other features than this version has")
        arrays = load_arrays(content)
        layers = tuple(
            (arrays[f"weights.{k}"], arrays[f"bias.{k}"]) for k in range(int(head["layers"]))
        )

        return Judge(
            name=name,
            labels=tuple(head["labels"]),
            columns=arrays["columns"].astype(np.int64),
            mean=arrays["mean"],
            scale=float(head["scale"]),
            layers=layers,
            sharpness=float(head["sharpness"]),
            growth=float(head["growth"]),
            card=head["card"],
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        SafetensorError,
    ) as error:
        raise InputError(
            f"{folder / name}: a damaged judge ({error}); install the package again, "
            "or train the judge again."
        ) from error


def save_judge(judge: Judge, folder: Path) -> None:
    """Write a judge's two files, arrays first, each under a hidden name at first."""
    arrays = {"columns": judge.columns.astype(np.int32), "mean": judge.mean.astype(np.float32)}
    for k, (weights, bias) in enumerate(judge.layers):
        arrays |= {
            f"weights.{k}": np.ascontiguousarray(weights, np.float32),
            f"bias.{k}": bias.astype(np.float32),
        }

    content = save_arrays(arrays)
    head = {
        "kind": KIND,
        "labels": judge.labels,
        "layers": len(judge.layers),
        "scale": judge.scale,
        "sharpness": judge.sharpness,
        "growth": judge.growth,
        "features": FEATURES_HASH,
        "sha256": hashlib.sha256(content).hexdigest(),
        "card": judge.card,
    }
    folder.mkdir(parents=True, exist_ok=True)

    for suffix, data in (
        (".safetensors", content),
        (".json", (json.dumps(head, ensure_ascii=False, indent=1) + "\n").encode()),
    ):
        partial = folder / f".{judge.name}{suffix}-{os.getpid()}"
        partial.write_bytes(data)
        partial.replace(folder / f"{judge.name}{suffix}")
