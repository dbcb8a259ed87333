"""Run one list of tasks: one after another, in processes, or on a Dask cluster.

Each engine takes a function and its tasks, and yields each task with its result, as they are done.
Tasks are taken from their iterator only when there is a process for them, so a list of any length
needs no memory. A task whose process dies is given to another one; see :data:`TRIES`.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from styletransfer.errors import InputError

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_JOBS = 1024
TRIES = 3
"""How many processes of this machine a task may end before it is given up.

A cluster's scheduler has a setting of its own (``distributed.scheduler.allowed-failures``).
"""
QUEUED = 2
"""Tasks that are sent to a cluster for each of its threads, so that none waits for the next."""
LEAST_QUEUED = 16
"""Tasks that are sent to a cluster at least: workers may come when there is work."""
PATIENCE = 30
"""Seconds to wait for a cluster's scheduler."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The variables that limit the threads of numerical libraries."""


class Lost:
    """The result of a task that ended every process it was given to; ``how``: by what."""

    def __init__(self, how: str) -> None:
        self.how = how


@dataclass(frozen=True)
class Engine:
    """What does a list of tasks: ``jobs`` processes (one: this one), or a ``cluster``'s workers.

    Raises:
        InputError: where there is no such number of processes, or both are asked for.
    """

    jobs: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise InputError(f"--jobs {self.jobs}: give a number from 1 to {MOST_JOBS}.")
        if self.cluster is not None and self.jobs > 1:
            raise InputError("--jobs is for this machine, --cluster for others; give one of them.")

    @property
    def alone(self) -> bool:
        """Whether this process does everything."""
        return self.jobs == 1 and self.cluster is None

    def run(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[Task],
        preload: Sequence[str] = (),
    ) -> Generator[tuple[Task, Result | Lost]]:
        """Do tasks, as :func:`in_turn`, :func:`in_processes` or :func:`on_cluster`."""
        if self.cluster is not None:
            yield from on_cluster(work, tasks, self.cluster)
        elif self.jobs > 1:
            yield from in_processes(work, tasks, self.jobs, preload)
        else:
            yield from in_turn(work, tasks)


def in_turn(
    work: Callable[[Task], Result], tasks: Iterable[Task]
) -> Generator[tuple[Task, Result | Lost]]:
    """Do tasks one after another in this process."""
    for task in tasks:
        yield task, work(task)


def in_processes(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, preload: Sequence[str] = ()
) -> Generator[tuple[Task, Result | Lost]]:
    """Do tasks in several processes with one thread each.

    On Linux the processes are forked from one that has loaded some modules, and what these hold (as
    weights) is in memory once; elsewhere each process loads its own. The processes end with this
    one, whatever ends it.

    Args:
        work: a function of a module, which is imported in each process. What it raises is a bug,
            and ends its process.
        tasks: the function's arguments.
        jobs: processes.
        preload: names of modules.
    """
    pool: _Pool[Task, Result] = _Pool(_context(preload), work, iter(tasks))
    try:
        while pool.fill(jobs):
            yield from pool.answers()
    finally:
        pool.end()


class _Pool(Generic[Task, Result]):
    """Processes, the tasks that wait for one, and those that wait to be tried again."""

    def __init__(
        self, context: Any, work: Callable[[Task], Result], waiting: Iterator[Task]
    ) -> None:
        self.context, self.work, self.waiting = context, work, waiting
        self.again: deque[tuple[Task, int]] = deque()
        self.workers: list[_Worker[Task, Result]] = []

    def fill(self, jobs: int) -> int:
        """Start as many processes as are needed, and return how many there are."""
        while len(self.workers) < jobs and (found := self._next()) is not None:
            worker: _Worker[Task, Result] = _Worker(self.context, self.work)
            self.workers.append(worker)
            worker.begin(*found)
        return len(self.workers)

    def answers(self) -> Iterator[tuple[Task, Result | Lost]]:
        """Wait for results, and yield them; each process gets its next task before."""
        ready = connection.wait([worker.pipe for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.pipe in ready]:
            task, tries = worker.task
            answer = worker.answer()
            if answer is not None:
                self._go_on(worker)
                yield task, answer[0]
                continue
            self.workers.remove(worker)
            how = worker.end()
            if tries < TRIES:
                self.again.append((task, tries))
            else:
                yield task, Lost(how)

    def end(self) -> None:
        """End all processes at once."""
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.end()

    def _go_on(self, worker: _Worker[Task, Result]) -> None:
        """Give a process its next task, or let it go."""
        if (found := self._next()) is not None:
            worker.begin(*found)
        else:
            self.workers.remove(worker)
            worker.end()

    def _next(self) -> tuple[Task, int] | None:
        """Take the next task with the number of its tries, if there is one."""
        if self.again:
            return self.again.popleft()
        return next(((task, 0) for task in self.waiting), None)


class _Worker(Generic[Task, Result]):
    """A process that does one task at a time.

    ``task``: the current one, and how often it was tried.
    """

    task: tuple[Task, int]

    def __init__(self, context: Any, work: Callable[[Task], Result]) -> None:
        self.pipe, theirs = context.Pipe()
        with _environment():
            self.process = context.Process(
                target=_work, args=(theirs, work, dict(os.environ)), daemon=True
            )
            self.process.start()
        theirs.close()

    def begin(self, task: Task, tries: int) -> None:
        """Send a task that was tried some times before."""
        self.task = task, tries + 1
        with suppress(OSError):  # it has died, as its answer will show
            self.pipe.send(task)

    def answer(self) -> tuple[Result] | None:
        """Receive the result; None where the process has died."""
        try:
            return (self.pipe.recv(),)
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process, and return how it ended."""
        self.pipe.close()
        self.process.join(1)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _work(pipe: connection.Connection, work: Callable[[Any], Any], environment: Any) -> None:
    """Do tasks until the pipe is closed; Ctrl-C is for the process that gives them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)  # a fork server may be older
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(work(task))


def _end_with_parent() -> None:
    """End this process, even in the middle of a task, as soon as its parent has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _context(preload: Sequence[str]) -> Any:
    """Return how processes are started: forked where that is safe, else from nothing."""
    if not sys.platform.startswith("linux"):
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


@contextmanager
def _environment() -> Iterator[None]:
    """Limit new processes to a thread each, and let them import this very package."""
    before = dict(os.environ)
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    os.environ.update(dict.fromkeys(THREADS, "1"))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        yield
    finally:
        for name in (*THREADS, "PYTHONPATH"):
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]


def on_cluster(
    work: Callable[[Task], Result], tasks: Iterable[Task], address: str
) -> Generator[tuple[Task, Result | Lost]]:
    """Do tasks on the workers of a Dask cluster, which may come and go.

    Workers have this version of the package, and see the same files under the same names. A worker
    does one task at a time, however many threads it has.

    Args:
        work: a function of a module.
        tasks: the function's arguments.
        address: of the scheduler, as ``tcp://192.168.1.5:8786``.

    Raises:
        InputError: where Dask isn't installed, there is no scheduler, it ends, or a worker has
            another version.
    """
    waiting = iter(tasks)
    with _client(address) as client:
        from distributed import as_completed

        pending: dict[Future, Task] = {}
        done = as_completed(loop=client.loop)
        try:
            while True:
                room = max(0, _queue(client, address) - len(pending))
                for task in islice(waiting, room):
                    future = _submit(client, work, task)
                    pending[future] = task
                    done.add(future)
                if not pending:
                    return
                future = next(done)
                yield pending.pop(future), _result(future, address)
        finally:
            with suppress(OSError, CancelledError):  # there may be no scheduler any more
                client.cancel(list(pending))


def _queue(client: Client, address: str) -> int:
    """Return how many tasks a cluster should have now.

    Raises:
        InputError: where its scheduler has ended.
    """
    try:
        threads = int(sum(client.nthreads().values()))
    except (OSError, CancelledError):
        raise _gone(address) from None
    return max(LEAST_QUEUED, QUEUED * threads)


def _submit(client: Client, work: Callable[[Any], Any], task: Any) -> Future:
    """Send a task to a cluster."""
    from styletransfer import __version__

    return client.submit(_work_there, work, task, os.getcwd(), __version__, pure=False)


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """Connect to a cluster.

    Raises:
        InputError: where that can't be done.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "--cluster needs Dask; install it with pip install 'styletransfer-music[cluster]'."
        ) from None
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # errors are sentences here
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"--cluster {address}: no scheduler answers ({reason}).") from None
    with client:
        yield client


def _result(future: Future, address: str) -> Any:
    """Return a task's result, or that it is lost."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return Lost("the workers of the cluster died")
    except (CancelledError, OSError):
        raise _gone(address) from None
    except ImportError as error:
        raise InputError(
            f"--cluster {address}: a worker lacks this package ({error}); install it there."
        ) from None


def _gone(address: str) -> InputError:
    return InputError(
        f"--cluster {address}: its scheduler has ended; the same command continues on another."
    )


_ONE_AT_A_TIME = threading.Lock()


def _work_there(work: Callable[[Any], Any], task: Any, folder: str, version: str) -> Any:
    """Do a task on a worker of a cluster, in the folder from which it was sent.

    Raises:
        InputError: where the worker has another version, or no such folder.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    from styletransfer import __version__

    if version != __version__:
        raise InputError(
            f"--cluster: a worker has version {__version__}, and not {version}; install that there."
        )
    if not os.path.isdir(folder):
        raise InputError(
            f"{folder}: a worker of the cluster sees no such folder; its workers need the same"
            " files."
        )
    with _ONE_AT_A_TIME, chdir(folder), threadpool_limits(1):
        return work(task)
