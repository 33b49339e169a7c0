"""Methods over many networks, in one process or several.

No network depends on another, so a result is the same however they are shared.
"""

import ctypes
import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

import numpy as np

from nnlc.analysis.predictors.fitted import forget_fits, spared_seconds
from nnlc.analysis.predictors.interface import Curves, Predictions, Predictor, StopRule, Stops
from nnlc.analysis.predictors.plug_ins import Plug
from nnlc.console import say_aside
from nnlc.errors import NnlcError

BATCH = 500
"""Networks at a time: enough for arrays to pay, few enough to share."""

T = TypeVar("T")


def predict_shared(method: Predictor, curves: Curves, epoch: float, processes: int) -> Predictions:
    """`method.predict`, shared."""
    return predict_timed([method], curves, epoch, processes)[0][0]


def predict_timed(
    methods: Sequence[Predictor], curves: Curves, epoch: float, processes: int
) -> list[tuple[Predictions, float]]:
    """Several methods' predictions, and the seconds that each took."""
    found = _share(partial(_predict, methods, epoch), methods, curves, processes)
    return [_joined(Predictions, one) for one in zip(*found, strict=True)]


def decide_shared(rule: StopRule, curves: Curves, processes: int) -> Stops:
    """`rule.decide`, shared."""
    return decide_timed(rule, curves, processes)[0]


def decide_timed(rule: StopRule, curves: Curves, processes: int) -> tuple[Stops, float]:
    """Where a rule stops, and the seconds that it took."""
    stops, seconds = _joined(Stops, _share(partial(_decide, rule), [rule], curves, processes))
    return stops, seconds


def _predict(
    methods: Sequence[Predictor], epoch: float, curves: Curves
) -> list[tuple[Predictions, float]]:
    forget_fits()
    return [_timed(partial(one.predict, curves, epoch)) for one in methods]


def _decide(rule: StopRule, curves: Curves) -> tuple[Stops, float]:
    return _timed(partial(rule.decide, curves))


def _timed(work: Any) -> tuple[Any, float]:
    spared_seconds()  # of before
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began + spared_seconds()


def _share(
    work: partial[T], methods: Sequence[Predictor], curves: Curves, processes: int
) -> list[T]:
    """The work's results for one batch of networks after the other, in their order.

    Where no processes can be shared with, as in containers without /dev/shm, this one does it all.

    Raises:
        NnlcError: a process was killed.
    """
    batches = [curves.of(slice(i, i + BATCH)) for i in range(0, len(curves), BATCH)]
    processes = min(processes, len(batches))
    if processes <= 1 or any(isinstance(one, Plug) for one in methods):
        return [work(one) for one in batches]
    try:
        return _share_out(work, batches, processes)
    except Exception as problem:
        if not _is_lack(problem):
            raise
        say_aside(
            f"note: no other process can share the work ({problem}: is /dev/shm writable, and may "
            "processes be started?), so this one does it all, as with --processes 1"
        )
        return [work(one) for one in batches]


def _is_lack(problem: Exception) -> bool:
    """Tell whether Python raised this for want of semaphores, processes or threads."""
    # The last is what multiprocessing raises of a system with too few semaphores.
    no_process = isinstance(problem, OSError | ImportError | NotImplementedError)
    return no_process or "can't start new thread" in str(problem)


def _share_out(work: partial[T], batches: Sequence[Curves], processes: int) -> list[T]:
    others = set(multiprocessing.active_children())
    # Not forked: the caller's program may have threads.
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_belong_to_the_one_that_shares
    )
    try:
        return list(pool.map(work, batches))
    except BrokenProcessPool:
        raise NnlcError(
            f"one of {processes} processes ended. If memory is short, take fewer (--processes 1 "
            "starts none); if this is a program of your own, let it begin with: "
            'if __name__ == "__main__":'
        ) from None
    except BaseException:
        # A second Ctrl-C would come while the pool waits for its processes, and never end.
        for one in set(multiprocessing.active_children()) - others:
            one.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _belong_to_the_one_that_shares() -> None:
    """Ctrl-C is answered by the process that shares the work; when that ends, so do these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL))


def _joined(kind: Any, parts: Sequence[tuple[Any, float]]) -> Any:
    """Results of one batch after the other as one, and the sum of their seconds."""
    columns = []
    for name in kind.__dataclass_fields__:
        values = [getattr(one, name) for one, _ in parts]
        whole = sum(values, ()) if isinstance(values[0], tuple) else np.concatenate(values)
        columns.append(whole)
    return kind(*columns), sum(seconds for _, seconds in parts)
