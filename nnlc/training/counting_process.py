"""Counting of networks' costs in a process of its own.

What torch loads for its meta device would stay in a trainer, about 170 MB; and a module that
crashes the process ends no trainer.
"""

import subprocess
import sys

from nnlc.system import messages

COMMAND = (sys.executable, "-m", "nnlc.training", "nnlc.training.counting")


def count_costs(request: messages.Message) -> messages.Message:
    """Return the answer to a "count" message; networks without an answer are not counted."""
    done = subprocess.run(  # noqa: S603  (no user input)
        COMMAND, input=messages.encode(request), stdout=subprocess.PIPE, check=False
    )
    answers = messages.decode_all(done.stdout.splitlines(keepends=True))
    costs = {each["key"]: each["counts"] for each in answers if "counts" in each}
    reasons = [each["reason"] for each in answers if "reason" in each]
    if done.returncode:
        reasons.append(messages.end_in_words(done.returncode).replace("trainer", "process"))
    on_cpu = [each["on_cpu"] for each in answers if each.get("on_cpu")]
    return {"kind": "counted", "costs": costs, "reasons": reasons, "on_cpu": on_cpu}
