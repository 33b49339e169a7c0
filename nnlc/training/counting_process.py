"""Counting of networks' costs in a process of its own.

What torch loads for its meta device would stay in a trainer, about 170 MB; and a module that
crashes the process ends no trainer.
"""

import subprocess
import sys

from nnlc.system import messages

COMMAND = (sys.executable, "-m", "nnlc.training", "nnlc.training.counting")


def count_costs(request: messages.Message) -> messages.Message:
    """Return the answer to a "count" message; networks without an answer are not counted.

    After the seconds in the message, if it has any, the process is ended; its counts stay.
    """
    status, is_cut = 0, False
    try:
        done = subprocess.run(  # noqa: S603  (no user input)
            COMMAND,
            input=messages.encode(request),
            stdout=subprocess.PIPE,
            check=False,
            timeout=request.get("seconds"),
        )
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as cut:
        output, is_cut = cut.stdout or b"", True
    whole = output[: output.rfind(b"\n") + 1]
    answers = messages.decode_all(whole.splitlines(keepends=True))
    costs = {each["key"]: each["counts"] for each in answers if "counts" in each}
    reasons = [each["reason"] for each in answers if "reason" in each]
    if is_cut:
        reasons.insert(0, "the time for counting was over, and the next job counts the rest")
    if status:
        reasons.append(messages.end_in_words(status).replace("trainer", "process"))
    on_cpu = [each["on_cpu"] for each in answers if each.get("on_cpu")]
    found: messages.Message = {"costs": costs, "reasons": reasons, "on_cpu": on_cpu}
    return {"kind": "counted", **found, "is_cut": is_cut}
