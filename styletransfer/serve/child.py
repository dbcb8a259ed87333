"""A process that works for the server: a task is a line of JSON, and so is all that comes back.

``python -m styletransfer.serve.child light|heavy [MODEL]``. What its libraries print goes to
standard error. It ends with the server, and then removes the folder that it works in.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from styletransfer.errors import InputError

OFTEN = 0.2
"""Seconds between two reports of progress, at the least."""


class Call:
    """A task that runs: how it reports, and whether it is to stop."""

    def __init__(self, number: int, out: TextIO, stops: set[int], model: Path | None) -> None:
        self.number, self.model = number, model
        self._out, self._stops = out, stops
        self._begin, self._told = time.monotonic(), -1.0

    def say(self, event: str, **data: Any) -> None:
        """Tell the server of something."""
        self.answer({"event": event, "data": data})

    def answer(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps({"call": self.number} | message) + "\n")
        self._out.flush()

    def progress(self, share: float) -> None:
        """Report the share done, and the time left where it can be told.

        Raises:
            KeyboardInterrupt: where the task is to stop.
        """
        self.check()
        now = time.monotonic()
        if now - self._told < OFTEN and share < 1:
            return
        self._told = now
        left = (now - self._begin) * (1 - share) / share if share > 0.02 else None
        self.say("progress", share=round(share, 4), seconds_left=left and round(left, 1))

    def check(self) -> None:
        """Stop here where that is asked for.

        Raises:
            KeyboardInterrupt: as Ctrl-C does.
        """
        if self.number in self._stops:
            raise KeyboardInterrupt


def tasks() -> dict[str, Callable[..., Any]]:
    """What can be done, by name."""
    from styletransfer.serve import arranging, reading, showing

    return {
        "song": reading.read_song_file,
        "song_pages": showing.song_pages,
        "version_pages": showing.version_pages,
        "export": showing.export,
        "sound": showing.sound,
        "assess": showing.assess_version,
        "arrange": arranging.arrange,
        "train": arranging.train,
    }


def work(task: Callable[..., Any], call: Call, arguments: dict[str, Any]) -> None:
    """Do a task and answer with its result or what went wrong."""
    try:
        call.answer({"result": task(call, **arguments)})
    except InputError as error:
        call.answer({"error": str(error)})
    except KeyboardInterrupt:
        call.answer({"result": None})
    except Exception as error:  # a fault of ours: told as one, and the process goes on
        traceback.print_exc()
        kind = type(error).__name__
        call.answer(
            {"error": f"a fault of this program ({kind}); please report it.", "fault": True}
        )


def main(kind: str, model: Path | None = None) -> None:
    """Do tasks until the server ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stops: set[int] = set()
    waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if "stop" in message:
                stops.add(message["stop"])
            else:
                waiting.put(message)
        waiting.put(None)
        shutil.rmtree(Path.cwd(), ignore_errors=True)
        os._exit(0)  # in the middle of a task, too: nobody waits for it

    threading.Thread(target=listen, daemon=True).start()
    known = tasks()
    if kind == "heavy":
        from styletransfer.serve.arranging import prepare

        prepare(model)
    while (message := waiting.get()) is not None:
        call = Call(message["call"], out, stops, model)
        work(known[message["task"]], call, message["arguments"])


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:3]))
