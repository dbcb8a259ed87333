"""What a token can know from those before it: for whole sequences in training, token by token in decoding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from styletransfer.model.features import DISTANCES, STEPS, Follower, TokenValues
from styletransfer.score.notes import Feel
from styletransfer.tokens.controls import Controls
from tests.tiny import codec, random_piece


@pytest.mark.parametrize("feel", ["score", "performance"])
def test_a_follower_tells_what_whole_sequences_tell(feel: Feel) -> None:
    values = TokenValues(sorted(codec().vocabulary, key=codec().vocabulary.__getitem__))
    seen = set()
    for seed in range(6):
        controls = Controls(feel, "romantic", "chopin", key="C-major")
        ids, _ = codec().encode(codec().grid(random_piece(seed, feel, 60)), (), with_melody=seed % 3 > 0)
        row = [codec().vocabulary[name] for name in controls.tokens()] + ids
        whole = torch.stack(values.features(torch.tensor([row]), len(row)))[:, 0].T
        follower = Follower(values.lists())
        followed = [follower.push(index) for index in row]
        np.testing.assert_array_equal(whole, followed)
        seen |= {(one[1] > 0, one[3] > 0, one[4] > 0) for one in followed}
        assert max(one[0] for one in followed) < STEPS
        assert max(one[2] for one in followed) < DISTANCES
        assert min(followed[-1][5:]) > 0
    assert {(True, False, False), (True, True, True), (False, False, False)} <= seen
