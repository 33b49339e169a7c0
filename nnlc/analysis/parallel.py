"""Prediction methods applied to many networks, in one process or several.

Networks don't depend on one another, so the number of processes changes no result.
"""

import ctypes
import multiprocessing
import signal
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nnlc.analysis.predictors.fitted import cached_fit_seconds, clear_fit_cache
from nnlc.analysis.predictors.interface import (
    ContextPredictor,
    Curves,
    Predictions,
    Predictor,
    StopRule,
    Stops,
)
from nnlc.analysis.predictors.plug_ins import PlugIn
from nnlc.console import say_aside
from nnlc.errors import NnlcError

BATCH = 500
"""Networks in a batch: enough for fast array operations, few enough for several processes."""

T = TypeVar("T")


def predict_timed(
    methods: Sequence[Predictor], curves: Curves, epoch: float, processes: int
) -> list[tuple[Predictions, float]]:
    """Return each method's predictions and the seconds that they took."""
    found = _run_batches(partial(_predict, methods, epoch), methods, curves, processes)
    return [_concatenated(Predictions, one) for one in zip(*found, strict=True)]


def learn_timed(
    method: ContextPredictor, groups: Iterable[tuple[Curves, Curves]], epoch: float
) -> tuple[Predictions, float]:
    """Return predictions for groups of a context and curves to predict, and their seconds.

    This process does all the work, since sending contexts to others takes longer.
    """
    found = [_timed(partial(_learn, method, epoch, *group)) for group in groups]
    whole: tuple[Predictions, float] = _concatenated(Predictions, found)
    return whole


def decide_timed(rule: StopRule, curves: Curves, processes: int) -> tuple[Stops, float]:
    """Return where a rule stops each network, and the seconds that the rule took."""
    found = _run_batches(partial(_decide, rule), [rule], curves, processes)
    whole: tuple[Stops, float] = _concatenated(Stops, found)
    return whole


def _predict(
    methods: Sequence[Predictor], epoch: float, curves: Curves
) -> list[tuple[Predictions, float]]:
    clear_fit_cache()
    return [_timed(partial(one.predict, curves, epoch)) for one in methods]


def _learn(method: ContextPredictor, epoch: float, context: Curves, curves: Curves) -> Predictions:
    return method.fit(context).predict(curves, epoch)


def _decide(rule: StopRule, curves: Curves) -> tuple[Stops, float]:
    return _timed(partial(rule.decide, curves))


def _timed(work: Any) -> tuple[Any, float]:
    cached_fit_seconds()  # forgets the seconds of earlier methods
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began + cached_fit_seconds()


def _run_batches(
    work: partial[T], methods: Sequence[Predictor], curves: Curves, processes: int
) -> list[T]:
    """Return the work's result for each batch of networks, in the networks' order.

    If no processes can be started, as in containers without /dev/shm, this process does all work.

    Raises:
        NnlcError: a process was killed.
    """
    batches = [curves.select(slice(i, i + BATCH)) for i in range(0, len(curves), BATCH)]
    processes = min(processes, len(batches))
    if processes <= 1 or any(isinstance(one, PlugIn) for one in methods):
        return [work(one) for one in batches]
    try:
        return _run_processes(work, batches, processes)
    except Exception as problem:
        if not _cannot_start_processes(problem):
            raise
        say_aside(
            f"note: other processes can't be started ({problem}: is /dev/shm writable, and may "
            "processes be started?), so this process does all the work, as with --processes 1"
        )
        return [work(one) for one in batches]


def _cannot_start_processes(problem: Exception) -> bool:
    """Return True if an exception says that semaphores, processes or threads are lacking."""
    # On a system with too few semaphores multiprocessing raises NotImplementedError.
    no_process = isinstance(problem, OSError | ImportError | NotImplementedError)
    return no_process or "can't start new thread" in str(problem)


def _run_processes(work: partial[T], batches: Sequence[Curves], processes: int) -> list[T]:
    others = set(multiprocessing.active_children())
    # Spawned, not forked: the caller's program may have threads.
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    )
    try:
        return list(pool.map(work, batches))
    except BrokenProcessPool:
        raise NnlcError(
            f"one of {processes} processes ended early. If memory is short, use fewer "
            "(--processes 1 starts none). In a program of your own, put the call under: "
            'if __name__ == "__main__":'
        ) from None
    except BaseException:
        # Without this, a second Ctrl-C while the pool waits for its processes hangs for ever.
        for one in set(multiprocessing.active_children()) - others:
            one.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Ignore Ctrl-C, and ask Linux to kill this process when its parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL))


def _concatenated(kind: Any, parts: Sequence[tuple[Any, float]]) -> Any:
    """Return the results of all batches as one result, and the sum of their seconds."""
    columns = []
    for name in kind.__dataclass_fields__:
        values = [getattr(one, name) for one, _ in parts]
        whole = sum(values, ()) if isinstance(values[0], tuple) else np.concatenate(values)
        columns.append(whole)
    return kind(*columns), sum(seconds for _, seconds in parts)
