"""Trainer that trains nothing: it sends a real trainer's messages as fast as it can.

In `gather.py` agents start it instead of `nnlc.training.trainer`. It needs no torch. A network's
values follow from its index, so that its table can be checked.
"""

import os
import random
import sys

from nnlc.system import messages
from nnlc.training.inbox import Inbox

_random = random.Random(20220105)  # noqa: S311  (no secrets here)
POOL = [_random.lognormvariate(0, 1) for _ in range(4093)]
"""Floats of up to 17 digits; their number is a prime, so that tables rarely repeat one another."""
_TEXTS = [repr(value) for value in POOL]
ROW_SECONDS = 0.01
"""Seconds that each half epoch reports."""
DEVICE: messages.DeviceFacts = {
    "gpus": 0,
    "name": "no device",
    "processor": "none",
    "nnlc": "",
    "torch": "none",
    "cuda": None,
    "cudnn": None,
}


def values_of(index: int, half_epoch: int) -> list[float]:
    """Return training loss, validation loss and accuracy of a half epoch, counted from 1."""
    first = 241 * index + 3 * half_epoch
    return [POOL[(first + i) % len(POOL)] for i in range(3)]


def lines_of(index: int, half_epochs: int) -> bytes:
    """Return a trainer's messages on one network: the bytes that nnlc encodes, made faster."""
    lines = [messages.encode({"kind": "alive", "index": index, "steps": 1})]
    for half_epoch in range(1, half_epochs + 1):
        first = 241 * index + 3 * half_epoch
        values = ",".join(_TEXTS[(first + i) % len(POOL)] for i in range(3))
        lines.append(
            f'{{"kind":"row","index":{index},"half_epoch":{half_epoch},"values":[{values}],'
            f'"seconds":{ROW_SECONDS}}}\n'.encode()
        )
    times = [ROW_SECONDS] * half_epochs
    facts = {"seconds": sum(times), "half_epoch_seconds": times, "peak_memory_bytes": 1 << 28}
    device = {"name": "no device", "uuid": None, "multiprocessors": None, "instructions": None}
    made = {"device": device, "versions": {"torch": "none"}, "settings": {"threads": 1}}
    lines.append(messages.encode({"kind": "finished", "index": index, **facts, **made}))
    return b"".join(lines)


def main() -> None:
    """Answer an agent's messages until it closes the pipe or asks to save."""
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    half_epochs = 0
    channel.write(messages.encode({"kind": "ready", "device": DEVICE}))
    for message in Inbox(0):
        match message["kind"]:
            case "configure":
                half_epochs = 2 * message["campaign"]["epochs"]
            case "check":
                channel.write(messages.encode({"kind": "checked"}))
            case "train":
                channel.write(lines_of(message["index"], half_epochs))
            case "save":
                return


if __name__ == "__main__":
    sys.exit(main())
