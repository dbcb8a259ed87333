"""Settings of the sampler, apart from it so that a command line needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from styletransfer.errors import InputError

FREE_TEMPERATURE, FREE_TOP_P = 1.05, 0.99
"""For music without a tune: with sharper values it falls into patterns (docs/decisions/0057)."""


@dataclass(frozen=True)
class SamplingConfig:
    """How to decode.

    ``candidates``: sequences in one batch, of which the best is taken. ``temperature``: 0 takes the
    likeliest token. ``top_p``: nucleus sampling (Holtzman et al. 2020). ``strength``: what the
    difference of the style's prediction and the base's is multiplied by (classifier-free guidance,
    Ho and Salimans 2022): 0 is the base without a style, 1 the style, more exaggerates it.
    """

    candidates: int = 8
    temperature: float = 0.9
    top_p: float = 0.98
    strength: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "candidates": (1, 64),
            "temperature": (0, 5),
            "top_p": (0.01, 1),
            "strength": (0, 5),
            "seed": (0, 2**63),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"--{name.replace('_', '-')} {value}: give a number from {low} to {high}."
                )
