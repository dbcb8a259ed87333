"""Where the weights and the styles lie: those of the package, and a user's own."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

ASSETS = Path(str(resources.files("styletransfer"))) / "assets"
"""The folder of what comes with the package."""
COPIES = "copies.safetensors"
"""Of weights or a user's style: the index of what they learnt from
(:mod:`styletransfer.music.copies`).
"""
IDIOM = "idiom.safetensors"
"""Of a style: how its accompaniments are made (:mod:`styletransfer.music.idiom`)."""


def home() -> Path:
    """The folder of the user's own styles (it need not exist)."""
    from platformdirs import user_data_dir

    named = os.environ.get("STYLETRANSFER_HOME")
    base = named or user_data_dir("styletransfer", appauthor=False)
    return Path(os.path.abspath(base)) / "styles"


def weights_folder() -> Path:
    """The folder of ``base``, ``styles`` and the index of what they learnt from:
    ``$STYLETRANSFER_WEIGHTS``, or ``assets``.
    """
    elsewhere = os.environ.get("STYLETRANSFER_WEIGHTS")
    return Path(os.path.abspath(elsewhere)) if elsewhere else ASSETS


def shipped() -> Path:
    """The folder of the styles that come with the base."""
    return weights_folder() / "styles"
