"""Spread work over the processes of a Dask cluster, one piece at a time in each, and survive what the work does.

The caller keeps the books: it says which worker gets which piece, notices when that worker is gone, tries once more
elsewhere, and stops a worker whose piece takes too long. So one piece can never take another down with it, and the
same holds for a cluster of this machine's cores and for one that was started elsewhere.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dask.system import CPU_COUNT
from distributed import Client, Future, LocalCluster, wait
from distributed.scheduler import KilledWorker

from . import warm
from .errors import CourseError

POLL = 1.0
"""Seconds between two looks at the workers."""
CONNECT = 20.0
"""Seconds to wait for a scheduler."""
PATIENCE = 60.0
"""Seconds to wait for a worker when there is none."""
ATTEMPTS = 2


class DiedError(Exception):
    """The process that did the work died, each time."""


class TooLongError(Exception):
    """The work took longer than allowed and was stopped."""


class _Piece(NamedTuple):
    """One call under way."""

    key: Any
    arguments: tuple
    attempt: int
    worker: str
    since: float


@contextmanager
def cluster(address: str | None = None, workers: int | None = None, modules: Sequence[str] = ()) -> Iterator[Client]:
    """A client of the scheduler at an address, or of worker processes of this machine.

    Of these there are ``workers``, or as many as the variable ``COURSEKIT_WORKERS`` says, or one per core. What they
    start by :func:`coursekit.warm.spawn` has imported the ``modules``.

    Raises ``CourseError`` if nothing answers at that address.
    """
    if address is not None:
        try:
            client = Client(address, timeout=CONNECT, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise CourseError(
                f"There is no Dask scheduler at {address} ({error}): start one with `dask scheduler`, and "
                "`dask worker` on each machine."
            ) from None
        with client:
            yield client
        return
    with (
        tempfile.TemporaryDirectory(prefix="ck-", ignore_cleanup_errors=True) as folder,
        warm.shared(Path(folder), modules) as environment,
        # No dashboard, nothing that listens beyond this machine, and certificates for this run alone, so that no other
        # user of the machine can send work to its workers. What the kernels use is not counted in a worker's memory,
        # and limited elsewhere.
        LocalCluster(
            n_workers=workers or int(os.environ.get("COURSEKIT_WORKERS", CPU_COUNT)),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            security=True,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            local_directory=folder,
            env=environment,
        ) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client


def spread(
    client: Client,
    function: Callable[..., Any],
    shared: Any,
    pieces: Iterable[tuple[Any, tuple]],
    limit: float,
) -> Iterator[tuple[Any, Any]]:
    """Yield ``(key, function(shared, *arguments))`` for each ``(key, arguments)``, as they get ready.

    ``shared`` travels to each worker once. In place of a result stands the exception if there was one: ``DiedError``
    after two dead workers, ``TooLongError`` after ``limit`` seconds, or what the function raised.

    Raises ``CourseError`` if the scheduler or all workers are gone.
    """
    common = client.submit(_same, shared, pure=False)
    again: deque[tuple[Any, tuple, int]] = deque()
    fresh = ((key, arguments, 1) for key, arguments in pieces)
    running: dict[Future, _Piece] = {}
    stuck: set[str] = set()
    exhausted, lonely_since = False, None
    while running or again or not exhausted:
        alive = set(_workers(client))
        done = {future: running.pop(future) for future in list(running) if future.done()}
        ready = [*_lost(running, again, alive), *_overdue(client, running, stuck, limit)]
        idle = sorted(alive - stuck - {piece.worker for piece in running.values()})
        for worker in idle:
            task = again.popleft() if again else next(fresh, None)
            if task is None:
                exhausted = True
                break
            key, arguments, attempt = task
            future = client.submit(
                function, common, *arguments, pure=False, workers=[worker], allow_other_workers=False
            )
            running[future] = _Piece(key, arguments, attempt, worker, time.monotonic())
        # The workers are busy again: now the caller may take its time over what is ready.
        ready += _results(done, again)
        yield from ready
        if alive - stuck or ready:
            lonely_since = None
        elif lonely_since is None:
            lonely_since = time.monotonic()
        elif time.monotonic() - lonely_since > PATIENCE:
            raise CourseError("No Dask worker is left. What was graded is kept: start workers and run again.")
        if running:
            _pause(list(running))
        elif not idle:
            time.sleep(POLL / 5)


def _same(value: Any) -> Any:
    """What is shared is the result of a task, so that the scheduler can make it anew if its workers die."""
    return value


def _workers(client: Client) -> Iterable[str]:
    try:
        return client.nthreads()
    except (OSError, TimeoutError) as error:
        raise CourseError(f"The Dask scheduler is gone ({error}). What was graded is kept: run again.") from None


def _pause(futures: list[Future]) -> None:
    try:
        wait(futures, timeout=POLL, return_when="FIRST_COMPLETED")
    except TimeoutError:
        pass
    except Exception:
        # A future that was cancelled from outside: the next round sees to it.
        time.sleep(POLL / 5)


def _results(done: dict[Future, _Piece], again: deque) -> Iterator[tuple[Any, Any]]:
    for future, piece in done.items():
        try:
            yield piece.key, future.result(timeout=PATIENCE)
        except Exception as error:
            # A worker that has its next piece may die with the last one's result, for which one would wait for ever.
            gone = isinstance(error, TimeoutError) and future.status != "error"
            if gone or isinstance(error, KilledWorker):
                future.cancel(force=True)
                yield from _retry(piece, again)
            else:
                yield piece.key, error


def _lost(running: dict[Future, _Piece], again: deque, alive: set[str]) -> Iterator[tuple[Any, Any]]:
    for future in [future for future, piece in running.items() if piece.worker not in alive]:
        piece = running.pop(future)
        future.cancel(force=True)
        yield from _retry(piece, again)


def _retry(piece: _Piece, again: deque) -> Iterator[tuple[Any, DiedError]]:
    if piece.attempt < ATTEMPTS:
        again.append((piece.key, piece.arguments, piece.attempt + 1))
    else:
        yield piece.key, DiedError()


def _overdue(client: Client, running: dict[Future, _Piece], stuck: set[str], limit: float) -> Iterator[tuple[Any, Any]]:
    now = time.monotonic()
    for future in [future for future, piece in running.items() if now - piece.since > limit]:
        piece = running.pop(future)
        future.cancel(force=True)
        stuck.add(piece.worker)
        try:
            # Its nanny kills the process and starts another, under another address.
            client.restart_workers([piece.worker], timeout=30, raise_for_error=False)
        except Exception:
            logging.getLogger(__name__).warning("Worker %s cannot be restarted and gets no more work.", piece.worker)
        yield piece.key, TooLongError()
