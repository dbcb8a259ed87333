"""Optimise a model: Muon with AdamW, and the schedule of the learning rate.

Hidden weight matrices are trained with Muon (K. Jordan et al., "Muon: an optimizer for hidden
layers in neural networks", 2024), everything else (embeddings, norms) with AdamW's rule.
``torch.optim.Muon`` does its Newton-Schulz iteration matrix by matrix in bfloat16, which a CPU
without bfloat16 units multiplies a hundred times more slowly than float32; this one does it in the
type that the run multiplies in, for all matrices of a shape at once. Known deviations from the
reference: four quintics, each the best after the one before (N. Amsel et al., "The Polar Express",
2025), in place of the same one five times; and the update's size is matched to AdamW's (0.2 x
sqrt(larger side), Liu et al., "Muon is scalable for LLM training", 2025).

The schedule is warm-up, stable, decay; the decay's start is set during training, when time runs
out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (
    (8.3410, -24.5974, 18.2230),
    (3.9062, -2.8005, 0.5123),
    (3.2921, -2.3788, 0.4676),
    (2.3090, -1.6305, 0.3913),
)
"""Coefficients of x, x^3 and x^5 in each step.

Each is, of all quintics, the one that brings nearest to 1 what the step before has left of singular
values from 0.004 to 1, and 2 % beyond, as bfloat16 is inexact; found by a linear programme on a
grid.
"""


class MuonAdamW(torch.optim.Optimizer):
    """Muon for hidden matrices, AdamW for the rest, one learning rate for both.

    AdamW trains embeddings, norms and whatever is not a matrix. ``narrow``: Muon multiplies in
    bfloat16.
    """

    def __init__(
        self, model: nn.Module, learning_rate: float, weight_decay: float, *, narrow: bool = False
    ) -> None:
        self.narrow = narrow
        embeddings = {
            id(p)
            for module in model.modules()
            if isinstance(module, nn.Embedding)
            for p in module.parameters()
        }
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        matrices = [p for p in trained if p.ndim == 2 and id(p) not in embeddings]
        chosen = {id(parameter) for parameter in matrices}
        groups = [
            {"params": matrices, "muon": True, "weight_decay": weight_decay},
            {
                "params": [p for p in trained if id(p) not in chosen],
                "muon": False,
                "weight_decay": 0.0,
            },
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["muon"]:
                self._muon(parameters, group)
            else:
                self._adamw(parameters, group)

    def _muon(
        self, parameters: list[Tensor], group: dict[str, Any], momentum: float = 0.95
    ) -> None:
        shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            shapes[parameter.shape].append(parameter)
        for shape, members in shapes.items():
            updates = []
            for parameter in members:
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                assert parameter.grad is not None
                state["momentum"].lerp_(parameter.grad, 1 - momentum)
                updates.append(parameter.grad.lerp(state["momentum"], momentum))
            update = orthogonalized(
                torch.stack(updates), torch.bfloat16 if self.narrow else torch.float32
            )
            for parameter, row in zip(members, update, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(
                    row.to(parameter.dtype), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5
                )

    def _adamw(
        self,
        parameters: list[Tensor],
        group: dict[str, Any],
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state |= {
                    "step": 0,
                    "mean": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                }
            assert parameter.grad is not None
            state["step"] += 1
            state["mean"].lerp_(parameter.grad, 1 - betas[0])
            state["square"].lerp_(parameter.grad.square(), 1 - betas[1])
            mean = state["mean"] / (1 - betas[0] ** state["step"])
            root = (state["square"] / (1 - betas[1] ** state["step"])).sqrt_().add_(1e-8)
            parameter.addcdiv_(mean, root, value=-group["lr"])


def orthogonalized(matrices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return nearly orthogonal matrices with the same row and column spaces.

    Args:
        matrices: shape (matrices, rows, columns).
        dtype: the type to multiply in.

    Returns:
        The same shape.
    """
    x = matrices.to(dtype)
    tall = x.size(1) > x.size(2)
    if tall:
        x = x.mT
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    result: Tensor = x.mT if tall else x
    return result


class WarmupStableDecay:
    """The learning rate as a share of its peak, by step.

    ``LambdaLR`` saves the attributes of a callable object with its own state, so that a run that is
    resumed in the middle of its decay continues it. ``minutes``: the time that the run which began
    the decay had, if it was limited.
    """

    def __init__(self, warmup: int, decay_start: int | None = None, decay_steps: int = 1) -> None:
        self.warmup = warmup
        self.decay_start = decay_start
        self.decay_steps = decay_steps
        self.minutes: float | None = None

    def __call__(self, step: int) -> float:
        rise = min(1.0, (step + 1) / max(self.warmup, 1))
        if self.decay_start is None or step < self.decay_start:
            return rise
        return rise * max(0.0, 1 - (step - self.decay_start) / self.decay_steps)

    @property
    def end(self) -> int | None:
        """The step at which the decay reaches zero."""
        return None if self.decay_start is None else self.decay_start + self.decay_steps
