"""Processes with their own environment, which libraries read only once, at their start."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor

from nnlc.system.environment import trainer_environment
from nnlc.training.determinism import make_deterministic


def own_process(
    environment: Mapping[str, str], set_up: Callable[..., None], *arguments: object
) -> ProcessPoolExecutor:
    """Return a pool of one process, started with this environment and set up."""
    before, there = dict(os.environ), dict(environment)
    os.environ.clear()
    os.environ.update(there)
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), set_up, arguments)
    pool.submit(os.getpid).result()
    os.environ.clear()
    os.environ.update(before)
    return pool


def trainer_process() -> ProcessPoolExecutor:
    """Return a pool of one process with a trainer's environment and settings of torch."""
    return own_process(trainer_environment(os.environ), make_deterministic)
