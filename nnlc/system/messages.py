"""Messages between the processes of a job: lines of JSON, on pipes and in MPI messages.

JSON keeps every float exactly (Python writes the shortest text that reads back as the same float,
NaN and infinities included), and decoding it runs no code.

Each line below gives sender, receiver and kind of a message, then its keys and what it means:

    from      to        kind       keys: meaning
    trainer   agent     ready      device: this trainer's device (`DeviceFacts`)
                        counted    costs: counts of networks (`Counted`) by key; reasons: why others
                                   have none; on_cpu: why some were counted on the processor;
                                   is_cut: True if the time for counting was over before the end
                        circumstances  device, versions, settings: everything but network and
                                   campaign that affects a table's bits
                        checked    : all images of the campaign exist and are undamaged; go_on,
                                   foreign: as in `checkpoints`; device_seconds, device_problem: of
                                   training a small network twice, and what it showed; refused,
                                   failing: lines on modules of the user's own family that must
                                   not be trained, or can't
                        checkpoints  go_on: IDs of networks whose checkpoint can be used; foreign:
                                   id, path, differences, seconds, nnlc, arithmetic of the farthest
                                   checkpoint of each other network; older_ways: settings that
                                   bring that arithmetic back
                        aside      index, path, reason: a checkpoint can't be used
                        resumed    index, rows, step, seconds_a_half_epoch: the network continues
                                   from a checkpoint
                        alive      index, steps: steps were done; a few times a second at most
                        notice     signal: a stop signal came, such as for processor time used up
                        saving     index: the trainer begins to write a checkpoint or weights
                        saved      index, half_epoch, step, seconds_a_half_epoch, setup_seconds
                                   (so far), seconds, bytes: it is written
                        trouble    index, reason: it can't be written, or weights can't be kept
                        row        index, half_epoch, seconds, values: training loss, validation
                                   loss, accuracy
                        finished   index, seconds, setup_seconds, half_epoch_seconds,
                                   half_epoch_train_correct (None: not counted),
                                   half_epoch_train_images, peak_memory_bytes,
                                   peak_reserved_bytes (on a GPU), device, versions, settings;
                                   stop: last decision of the stop rule
                        uncaptured  index, reason: the network's steps can't be captured in CUDA
                                   graphs; the trainer ends; counts as no attempt
                        failed     index, reason: the network can't be trained; the trainer ends;
                                   traceback: of a bug; of_family: True if the family's code is at
                                   fault, so that it would fail again
                        fatal      message: the job can't continue; of_family: True if a rank can't
                                   use the campaign's family
    agent     trainer   count      family; networks, with key, spec and image_set: count their
                                   costs in a process of its own; seconds: its time, if limited
                        configure  campaign, images, checkpoints, device; results; threads, else 1
                        circumstances  : send `circumstances`
                        check      mark: check that all images exist and are undamaged, that this
                                   file is visible and its folder writable, for one trainer of a
                                   host; networks: as in `checkpoints`, for one trainer of a job;
                                   trains_twice: True to train a small network twice and compare
                                   the bytes, for one trainer of a GPU; sample: networks of the
                                   user's own family, whose modules to check
                        checkpoints  networks, with spec and image_set, folder: check which
                                   networks' checkpoints can be used
                        train      index, spec, image_set, hang_seconds, step_seconds; epochs, a
                                   multiple of 0.5, to train without the campaign's stop rule;
                                   graphs: False to train without CUDA graphs on a GPU
                        save       : save the network and end
    agent     rank 0    hello      host, cores, node_cores, node_gpus, launcher; node: name of the
                                   node in the scheduler's words; visible: variables
                                   that hide GPUs, in words; trainers: number the user wants, or
                                   None; without_mps: why MPS is unavailable, or
                                   None; overruled: variables that trainers don't get, in words;
                                   devices: one per trainer, all of which are ready
                        idle       trainer: the trainer has nothing to do
                        died       trainer, index or None, reason, node: the trainer ended or hung
                        returned   index: the trainer chosen for it has ended; counts as no attempt
                        notice     signal: this rank got a stop signal
                        left       : all trainers of this rank have ended after `leave`
                        alive      : heartbeat
                        and most messages of its trainers, `row` unchanged
    rank 0    agent     count      trainer, and as above, before configure
                        configure  as above, for all its trainers; trainers: number to keep;
                                   site: of the job's script, or ""; node: of rank 0
                        check      trainer, and as above; for one rank of each host and GPU,
                                   or for all ranks if the family is not nnlc's article
                        train      trainer, and as above
                        leave      : have all trainers save and end, then send `left`
                        alive      : heartbeat
                        stop       status: end with this exit status
"""

import json
import signal
from collections.abc import Iterable
from typing import Any, NotRequired, TypedDict

from nnlc.console import say_aside

Message = dict[str, Any]


class DeviceFacts(TypedDict):
    """Device of a trainer, the first visible GPU or the processor, and software versions."""

    gpus: int
    """Number of GPUs that the process sees."""
    name: str
    """Model of the GPU, or of the processor without one."""
    processor: str
    """Model of the processor, and the instruction set of torch's kernels."""
    nnlc: str
    uuid: NotRequired[str]
    """UUID of the GPU, or "unknown"; some drivers give all GPUs the same."""
    pci: NotRequired[str | None]
    """PCI bus ID of the GPU: domain, bus and device in hexadecimal. MIG instances share it."""
    unusable: NotRequired[str]
    """Reason why the GPU can't be used, and what to do; absent if it can."""
    multiprocessors: NotRequired[int]
    architecture: NotRequired[str]
    """Architecture of an AMD GPU, with its features."""
    hip: NotRequired[str]
    """Version of HIP, of torch for AMD's GPUs."""
    memory_bytes: NotRequired[int]
    mps: NotRequired[bool]
    """True if NVIDIA's Multi-Process Service runs."""
    torch: str
    cuda: str | None
    cudnn: int | None
    variables: NotRequired[dict[str, str]]
    """Environment variables that affect bits, in words, by kind of device."""


def encode(message: Message) -> bytes:
    """Return the message as a line with its end."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line.

    Raises:
        ValueError: the line is no JSON object.
    """
    message = json.loads(line.decode())  # decoded first: json would guess the encoding, slowly
    if not isinstance(message, dict):
        raise ValueError(f"no message: {line[:80]!r}")
    return message


def decode_batch(content: bytes | bytearray) -> list[Message]:
    """Return the messages of lines that `encode` wrote.

    Raises:
        ValueError: a line is no JSON.
    """
    text = content.decode().rstrip("\n")
    return json.loads("[" + text.replace("\n", ",") + "]")  # type: ignore[no-any-return]


def decode_all(lines: Iterable[bytes]) -> list[Message]:
    """Return the messages of lines; print other lines, from libraries, on standard error."""
    messages = []
    for line in lines:
        try:
            messages.append(decode(line))
        except ValueError:
            say_aside(line.decode(errors="replace").rstrip())
    return messages


def is_row(line: bytes) -> bool:
    """Return True if a line is a `row` message, by its first bytes.

    Rows are most of the traffic, and agents pass them on undecoded.
    """
    return line.startswith(b'{"kind":"row",')


def end_in_words(status: int) -> str:
    """Return in words how a trainer ended.

    Args:
        status: its return code, as `subprocess` gives it.
    """
    if status >= 0:
        return f"its trainer left with status {status}"
    known = -status in set(signal.Signals)
    name = signal.Signals(-status).name if known else f"signal {-status}"
    hint = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return f"its trainer was killed by {name}{hint}"


class LineBuffer:
    """Buffer that splits a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Add bytes and return the lines that are complete, with their ends, but no empty ones."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line + b"\n" for line in lines if line]
