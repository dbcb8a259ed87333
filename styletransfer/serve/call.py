"""A task that runs in a child process: how it reports, and whether it is to stop."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, TextIO

OFTEN = 0.2
"""The fewest seconds between two reports of progress."""


class Call:
    """A task that runs."""

    def __init__(self, number: int, out: TextIO, stops: set[int], model: Path | None) -> None:
        self.number, self.model = number, model
        self._out, self._stops = out, stops
        self._begin, self._told = time.monotonic(), -1.0

    def say(self, event: str, **data: Any) -> None:
        """Report something to the server."""
        self.answer({"event": event, "data": data})

    def answer(self, message: dict[str, Any]) -> None:
        self._out.write(json.dumps({"call": self.number} | message) + "\n")
        self._out.flush()

    def progress(self, share: float) -> None:
        """Report the share done, and the time left where it is known.

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
        """Stop here if that was requested.

        Raises:
            KeyboardInterrupt: as Ctrl-C does.
        """
        if self.number in self._stops:
            raise KeyboardInterrupt
