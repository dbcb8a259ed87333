"""Load what every arrangement needs, as soon as this module is imported.

It is imported in the process from which others are forked, so that they have all of this in memory
once. What fails here is reported by the first arrangement.
"""

from __future__ import annotations

from contextlib import suppress

from styletransfer.model import sampling  # noqa: F401  # with torch
from styletransfer.model.harmonising import shipped_harmoniser
from styletransfer.model.loading import load_model
from styletransfer.music.chords import shipped_recogniser
from styletransfer.music.copies import shipped_copies
from styletransfer.music.idiom import shipped_idioms
from styletransfer.transfer import pipeline  # noqa: F401
from styletransfer.transfer.figures import shipped_figures

for load in (
    load_model,
    shipped_harmoniser,
    shipped_recogniser,
    shipped_copies,
    shipped_idioms,
    shipped_figures,
):
    with suppress(Exception):
        load()
