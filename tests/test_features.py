"""What a token can know from those before it: for whole sequences in training, token by token in decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from styletransfer.model.features import DISTANCES, STEPS, FeatureEmbedding, TokenValues
from styletransfer.score.notes import Feel
from styletransfer.tokens.controls import Controls
from tests.tiny import codec, random_piece


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_the_last_tokens_have_what_whole_sequences_tell(feel: Feel) -> None:
    """By tensors, and token by token: with a melody and without, padded or not."""
    values = TokenValues(sorted(codec().vocabulary, key=codec().vocabulary.__getitem__))
    seen = set()
    for seed in range(6):
        controls = Controls(feel, "romantic", "chopin", key="C-major")
        ids, _ = codec().encode(codec().grid(random_piece(seed, feel, 60)), (), with_melody=seed % 3 > 0)
        row = [codec().pad] * seed + [codec().vocabulary[name] for name in controls.tokens()] + ids
        whole = torch.stack(values.features(torch.tensor([row, row]), len(row)), -1)
        last = torch.stack(values.features(torch.tensor([row]), len(row) - 1), -1)
        np.testing.assert_array_equal(whole[0, 1:], last[0])
        np.testing.assert_array_equal(whole[0], whole[1])
        told = whole[0]
        seen |= {(one[1] > 0, one[3] > 0, one[4] > 0) for one in told.tolist()}
        assert told[:, 0].max() < STEPS
        assert told[:, 2].max() < DISTANCES
        assert told[-1, 5:].min() > 0
    assert {(True, False, False), (True, True, True), (False, False, False)} <= seen


def test_embeddings_are_the_sum_of_their_rows() -> None:
    """As each table by itself has them, and their gradients."""
    embedding = FeatureEmbedding(8, 20)
    rng = torch.Generator().manual_seed(0)
    tables = embedding.tables()
    features = tuple(torch.randint(0, len(table.weight), (2, 7), generator=rng) for table in tables)
    found = embedding(features)
    expected = sum(table(feature) for table, feature in zip(tables, features, strict=True))
    torch.testing.assert_close(found, expected)
    grads = []
    for result in (found, expected):
        embedding.zero_grad()
        result.square().sum().backward()
        grads.append([parameter.grad.clone() for parameter in embedding.parameters()])
    torch.testing.assert_close(grads[0], grads[1])
