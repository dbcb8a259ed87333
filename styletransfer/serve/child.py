"""A process that works for the server.

A task is a line of JSON, and so is all that comes back.

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
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from styletransfer.errors import InputError
from styletransfer.serve.call import Call

FOLDER = Path.cwd()
"""The folder in which this process works: the server's temporary one."""


def tasks() -> dict[str, Callable[..., Any]]:
    """Return the possible tasks, by name."""
    from styletransfer.serve import arranging, reading, showing

    return {
        "song": reading.read_song_file,
        "song_pages": showing.song_pages,
        "version_pages": showing.version_pages,
        "export": showing.export,
        "sound": showing.sound,
        "assess": showing.assess_version,
        "arrange": arranging.arrange,
        "sample": arranging.sample,
        "train": arranging.train,
    }


def work(task: Callable[..., Any], call: Call, arguments: dict[str, Any]) -> None:
    """Do a task and answer with its result or what went wrong."""
    try:
        call.answer({"result": task(call, **arguments)})
    except InputError as error:
        told = str(error).replace(f"{FOLDER}{os.sep}", "")  # its files' folder is private
        call.answer({"error": told})
    except KeyboardInterrupt:
        call.answer({"result": None})
    except Exception as error:  # our own bug: reported as one; the process continues
        traceback.print_exc()
        kind = type(error).__name__
        call.answer(
            {"error": f"a fault of this program ({kind}); please report it.", "fault": True}
        )


def main(kind: str, model: Path | None = None) -> None:
    """Do tasks until the server ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = os.fdopen(os.dup(0), encoding="utf-8")  # forked workers close `sys.stdin`, which
    sys.stdin = open(os.devnull, encoding="utf-8")  # would wait for its reader # noqa: SIM115
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stops: set[int] = set()
    waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in asked:
            message = json.loads(line)
            if "stop" in message:
                stops.add(message["stop"])
            else:
                waiting.put(message)
        waiting.put(None)
        shutil.rmtree(FOLDER, ignore_errors=True)
        os._exit(0)  # even in the middle of a task: nobody waits for it

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
