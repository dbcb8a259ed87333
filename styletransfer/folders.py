"""The folders of weights and styles: those of the package, and the user's own."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

ASSETS = Path(str(resources.files("styletransfer"))) / "assets"
"""The folder of the files that come with the package."""
COPIES = "copies.safetensors"
"""In a folder of weights or of a user's style: the index of the pieces that they learnt from
(:mod:`styletransfer.music.copies`)."""
IDIOM = "idiom.safetensors"
"""In a style's folder: how its accompaniments are made (:mod:`styletransfer.music.idiom`)."""


def home() -> Path:
    """Return the folder of the user's own styles, which need not exist."""
    from platformdirs import user_data_dir

    named = os.environ.get("STYLETRANSFER_HOME")
    base = named or user_data_dir("styletransfer", appauthor=False)
    return Path(os.path.abspath(base)) / "styles"


def weights_folder() -> Path:
    """Return the folder of the weights: ``$STYLETRANSFER_WEIGHTS``, or ``assets``.

    It holds ``base``, ``styles`` and the index of what they learnt from.
    """
    elsewhere = os.environ.get("STYLETRANSFER_WEIGHTS")
    return Path(os.path.abspath(elsewhere)) if elsewhere else ASSETS


def shipped() -> Path:
    """Return the folder of the styles that come with the base."""
    return weights_folder() / "styles"
