"""File in, arrangement out, on one screen.

Open the song, find its melody, plan what is fixed, compose around it, choose, put it together.
"""

from __future__ import annotations

import time

from styletransfer.formats.midi_out import as_written
from styletransfer.transfer.live import Live
from styletransfer.transfer.performance.pianist import perform
from styletransfer.transfer.phrases import Progress
from styletransfer.transfer.planning import resolve_chords
from styletransfer.transfer.report import report_of
from styletransfer.transfer.request import Request
from styletransfer.transfer.result import Result
from styletransfer.transfer.rework import resolve_feel
from styletransfer.transfer.source import open_source
from styletransfer.transfer.studio import Studio
from styletransfer.transfer.task import plan_for


def apply(
    request: Request,
    progress: Progress | None = None,
    *,
    live: Live | None = None,
    partial: bool = False,
) -> Result:
    """Arrange a song in a style: every melody note stays, everything else is new.

    Args:
        request: what is asked for.
        progress: called with the share that is done.
        live: hears each bar of every candidate as soon as it is decoded.
        partial: let Ctrl-C leave an arrangement of the bars that are done, if there is one; the
            report says which.

    Raises:
        InputError: where the song can't be read or has no melody.
    """
    begin = time.monotonic()
    request = resolve_feel(resolve_chords(request))
    source = open_source(request)
    task = plan_for(request, source)
    studio = Studio(task, live, partial=partial)

    if task.request.bars is not None:
        take = studio.rework(progress)
    elif task.request.mode == "continue":
        take = studio.arrange_and_continue(progress)
    else:
        take = studio.arrange(progress)

    pieces = take.pieces
    if source.played:
        seed = task.request.sampling.seed
        pieces = [perform(piece, studio.touch, seed, take.window) for piece in pieces]
    pieces = [as_written(piece) for piece in pieces]

    report = report_of(task, take, pieces[take.best], seconds_taken=time.monotonic() - begin)
    return Result(
        pieces[take.best],
        report.as_dict(),
        task.request,
        source.melody,
        tuple(pieces),
        studio.provenance,
    )
