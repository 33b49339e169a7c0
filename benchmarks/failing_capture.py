"""A worker of whose trainers one fails in a capture, once: `failing_capture.py ARGUMENTS…`.

The arguments are the worker's. In the first capture of a network's step, the network does what CUDA
forbids during a capture: it waits for the device. All else is nnlc's own.
"""

import os
import sys
from pathlib import Path

MARK = "NNLC_FAILED_CAPTURE"
"""Variable with the path of a file that exists once a capture has failed."""


def worker(arguments: list[str]) -> int:
    """Run the worker with trainers that this file starts."""
    from nnlc import worker
    from nnlc.ranks import trainer_link

    results = Path(arguments[arguments.index("--results") + 1])
    os.environ[MARK] = str(results.with_suffix(".failed"))
    trainer_link.COMMAND = (sys.executable, __file__, "trainer")
    return worker.main(arguments)


def trainer(arguments: list[str]) -> None:
    """Run a trainer; the first capture of the job's networks fails."""
    import torch

    from nnlc.families.article.modules.network import Network
    from nnlc.training import trainer
    from nnlc.training.attempt import Attempt

    run, forward, mark = Attempt.run, Network.forward, Path(os.environ[MARK])

    def failing(network: Network, pixels: torch.Tensor) -> torch.Tensor:
        if torch.cuda.is_current_stream_capturing() and not mark.exists():
            mark.touch()
            torch.cuda.synchronize()
        return forward(network, pixels)

    def run_failing(*given, **named):
        Network.forward = failing
        return run(*given, **named)

    Attempt.run = run_failing  # the check of the device, before, makes no attempt
    trainer.main(arguments)


if __name__ == "__main__":
    first, *rest = sys.argv[1:]
    sys.exit(trainer(rest) if first == "trainer" else worker([first, *rest]))
