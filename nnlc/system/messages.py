"""Messages between the processes of a job: one JSON object a line, on pipes and over MPI alike.

JSON keeps every float exactly (Python writes the shortest text that reads back the same, NaN and
infinities included) and runs nothing, whatever arrives.

    from      to        kind       with
    trainer   agent     ready      device: what this process could train on (`DeviceFacts`)
                        circumstances  device, versions, settings: what a table's bits depend on
                                   beside network and campaign
                        checked    : all images of the campaign are there and undamaged; go_on,
                                   foreign: as in `checkpoints`
                        checkpoints  go_on: IDs; foreign: id, path, differences, seconds, nnlc,
                                   arithmetic of the farthest checkpoint of each network that
                                   can't go on; older_ways: what brings that arithmetic back
                        aside      index, path, reason: a checkpoint that can't be used
                        resumed    index, rows, step: it goes on from a checkpoint
                        alive      index, steps: steps were done; a few times a second at most
                        notice     signal: it came here, where processor time is used
                        saving     index: a checkpoint is being written
                        saved      index, half_epoch, step, seconds, bytes: and is
                        trouble    index, reason: or is not
                        row        index, half_epoch, seconds, values: training and validation
                                   loss, accuracy
                        finished   index, seconds, half_epoch_seconds, peak_memory_bytes, device,
                                   versions, settings; eager_because: why steps that should have
                                   been captured were not, if so; stop: what the campaign's stop
                                   rule said last, if it has one
                        failed     index, reason: the network can't be trained; the trainer leaves
                        fatal      message: the job can't go on
    agent     trainer   configure  campaign, images, checkpoints, device; results; threads, else 1
                        circumstances  : tell them
                        check      mark: see that all images are there and undamaged, that this
                                   file is seen, and that its folder can be written; networks:
                                   as in `checkpoints`, to one trainer of a job
                        checkpoints  networks, with spec and image_set, folder: look which go on
                        train      index, spec, image_set, hang_seconds, step_seconds; epochs, in
                                   halves too, if not the campaign's: no rule stops them then
                        save       : save the network and leave
    agent     rank 0    hello      host, cores, node_cores, node_gpus, launcher, trainers: how many
                                   the user wants, or None; without_mps: why it is not to be
                                   had, or None; overruled: variables that trainers do not get,
                                   in words; devices: one for each trainer, all ready
                        idle       trainer: it has nothing to do
                        died       trainer, index or None, reason: it ended by itself, or hung
                        returned   index: the trainer that it was for is gone; no attempt
                        notice     signal: this rank was told to stop
                        left       : all its trainers have ended, as it was told
                        alive      : the rank is there
                        and most of what its trainers say, as it came, `row` to the byte
    rank 0    agent     configure  as above, for all its trainers, and trainers: how many to keep
                        check      trainer, and as above; to one rank of each host
                        train      trainer, and as above
                        leave      : have the trainers save and end, then say so
                        alive      : the rank is there
                        stop       status: leave with this exit status
"""

import json
import signal
from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from nnlc.console import say_aside

Message = dict[str, Any]


class DeviceFacts(TypedDict):
    """What a trainer sees: the GPU that it would take, or the processor."""

    gpus: int
    """GPUs that the process sees."""
    name: str
    processor: str
    """With the instruction set that its kernels use."""
    nnlc: str
    uuid: NotRequired[str]
    multiprocessors: NotRequired[int]
    memory_bytes: NotRequired[int]
    mps: NotRequired[bool]
    """Whether NVIDIA's Multi-Process Service is there."""
    torch: str
    cuda: str | None
    cudnn: int | None
    variables: NotRequired[dict[str, str]]
    """Of the environment, in words: those that decide bits, by kind of device."""


def encode(message: Message) -> bytes:
    """One line, whose end it has."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line.

    Raises:
        ValueError: no JSON object.
    """
    message = json.loads(line.decode())  # from bytes it would guess the encoding, at some cost
    if not isinstance(message, dict):
        raise ValueError(f"no message: {line[:80]!r}")
    return message


def decode_batch(content: bytes | bytearray) -> list[Message]:
    """The messages of lines that `encode` wrote, in one go.

    Raises:
        ValueError: one is no JSON.
    """
    text = content.decode().rstrip("\n")
    return json.loads("[" + text.replace("\n", ",") + "]")  # type: ignore[no-any-return]


def decode_all(lines: Iterable[bytes]) -> list[Message]:
    """The messages of many lines. What a library printed among them goes where errors go."""
    messages = []
    for line in lines:
        try:
            messages.append(decode(line))
        except ValueError:
            say_aside(line.decode(errors="replace").rstrip())
    return messages


def is_row(line: bytes) -> bool:
    """Whether a line is a `row`, told by its first bytes as `encode` writes a row that says first
    what it is: what is most of all traffic need not be decoded to be passed on."""
    return line.startswith(_ROW)


_ROW = b'{"kind":"row",'


def end_in_words(status: int) -> str:
    """Return how a trainer has ended, by the status that `subprocess` tells."""
    if status >= 0:
        return f"its trainer left with status {status}"
    known = -status in set(signal.Signals)
    name = signal.Signals(-status).name if known else f"signal {-status}"
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"its trainer was killed by {name}{hint}"


class LineBuffer:
    """Collects bytes as they come from a pipe and gives back whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Lines, each with its end; empty ones are left out."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line + b"\n" for line in lines if line]
