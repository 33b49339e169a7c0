"""Probe of this machine: times a few steps of a campaign's networks, and fits a machine to them.

As many processes as a job has ranks run at the same time, since they slow each other down. Networks
are drawn by predicted cost, so that most of the time is spent on those that matter for the sum.
Each process begins with its quickest steps. If a step would take long, it is timed with a smaller
batch; if it takes far longer, its network is left out.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from nnlc.calibration.calibrate import Calibration, Sample, calibration_of
from nnlc.calibration.machines import NOMINAL
from nnlc.campaign.campaign import Campaign, CampaignNetwork
from nnlc.errors import NnlcError
from nnlc.families.registry import family_to_json
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.system import messages
from nnlc.system.environment import trainer_environment

COMMAND: tuple[str, ...] = (sys.executable, "-m", "nnlc.training", "nnlc.training.step_timing")
"""Command that starts a process of the probe; tests replace it."""
SECONDS = 6.0
"""Time in which steps are timed, after torch is loaded."""
LATE_SECONDS = 30.0
"""Time after which a process answers even in the middle of a step."""
LIMIT_SECONDS = 60.0
"""Time after which a probe is given up."""
_INSTEAD = "; after a job of some of its networks, 'nnlc calibrate' measures this machine instead"
MOST_NETWORKS = 48
_LONGEST_STEP = 0.02
"""Predicted seconds of a training step from which a smaller batch is timed."""


class Probe(NamedTuple):
    """Result of a probe."""

    calibration: Calibration
    seconds: float
    start_seconds: float
    """Seconds until the last process had loaded torch."""
    too_slow: int = 0
    """Number of networks that are left out because a step took too long."""


def probe(
    campaign: Campaign,
    networks: Sequence[tuple[CampaignNetwork, float]],
    processes: int,
    kind: DeviceKind,
    seconds: float = SECONDS,
) -> Probe:
    """Time steps of some of a campaign's networks on this machine, and fit a machine to them.

    Args:
        campaign: the campaign.
        networks: networks that are left to train, with predicted seconds.
        processes: number of processes, at most that of networks.
        kind: kind of device; processes that find no GPU use the processor.
        seconds: time in which steps are timed.

    Raises:
        NnlcError: no step could be timed.
    """
    settings = campaign.training
    chosen = [_with_short_steps(network, settings, kind) for network in draw_by_cost(networks)]
    sent = [(i, n.spec.to_json(), asdict(n.images)) for i, n in enumerate(chosen)]
    shares = [sent[i::processes] for i in range(processes)]
    for share in shares:
        quickest = min(share, key=lambda s: _step_seconds(chosen[s[0]], settings, kind))
        share.insert(0, share.pop(share.index(quickest)))
    common = {
        "device": kind,
        "training": settings.model_dump(),
        "family": family_to_json(networks[0][0].family),
        "seconds": seconds,
        "late_seconds": LATE_SECONDS,
    }
    requests = [common | {"number": i, "networks": share} for i, share in enumerate(shares)]
    begin = time.monotonic()
    with ThreadPoolExecutor(processes) as pool:
        answers = list(pool.map(_ask, requests))
    timed = [times for answer in answers for times in answer["networks"]]
    if not timed:
        raise NnlcError(
            f"the probe of this machine timed no network within {LATE_SECONDS:g} s{_INSTEAD}"
        )
    device = answers[0]["device"]
    samples = [
        _sample(chosen[i], training, validation, settings, device["kind"])
        for i, training, validation in timed
    ]
    found = calibration_of(device["name"], device["kind"], samples)
    start = max(answer["loaded"] for answer in answers) - begin
    late = sum(answer["is_late"] for answer in answers)
    return Probe(found, time.monotonic() - begin, start, late)


def draw_by_cost(networks: Sequence[tuple[CampaignNetwork, float]]) -> list[CampaignNetwork]:
    """Return at most `MOST_NETWORKS` networks in random order, drawn in proportion to their cost.

    Args:
        networks: networks with their predicted seconds.
    """
    drawn = sorted(networks, key=lambda pair: pair[1])
    if len(drawn) > MOST_NETWORKS:
        ends = np.cumsum([seconds for _, seconds in drawn])
        points = (np.arange(MOST_NETWORKS) + 0.5) / MOST_NETWORKS * ends[-1]
        drawn = [drawn[i] for i in np.unique(np.searchsorted(ends, points))]
    return [drawn[i][0] for i in np.random.default_rng(0).permutation(len(drawn))]


def _with_short_steps(
    network: CampaignNetwork, settings: TrainingSection, kind: DeviceKind
) -> CampaignNetwork:
    """Return a network with a batch so small that its steps are short."""
    spec, seconds = network.spec, _step_seconds(network, settings, kind)
    batch = max(1, int(spec.batch_size * min(1, _LONGEST_STEP / seconds)))
    spec = network.family.with_batch_size(spec, batch)
    return replace(network, spec=spec)


def _step_seconds(network: CampaignNetwork, settings: TrainingSection, kind: DeviceKind) -> float:
    """Return the predicted seconds of a training step."""
    return network.family.predict_step_seconds(
        network.spec, network.images, NOMINAL[kind], settings, kind
    )


def _sample(
    network: CampaignNetwork,
    training: float,
    validation: float,
    settings: TrainingSection,
    kind: DeviceKind,
) -> Sample:
    """Return the work and seconds of a half epoch, from the seconds of its steps."""
    spec, images = network.spec, network.images
    steps = images.train_images // spec.batch_size / 2
    seconds = steps * training + images.validation_images // spec.batch_size * validation
    work = network.family.half_epoch_work(spec, images, settings, kind)
    return Sample(work, seconds)


def _ask(request: messages.Message) -> messages.Message:
    """Return the answer of a process that times steps.

    Raises:
        NnlcError: it failed, or took too long.
    """
    failed = "the probe of this machine failed: its process "
    try:
        answer = subprocess.run(  # noqa: S603  (no word from a user)
            COMMAND,
            input=messages.encode(request),
            capture_output=True,
            timeout=LIMIT_SECONDS,
            env=trainer_environment(os.environ, request["device"]),
            check=True,
            start_new_session=True,  # like a rank: Linux shares the cores among sessions
        )
    except subprocess.TimeoutExpired:
        raise NnlcError(f"{failed}did not answer within {LIMIT_SECONDS:.0f} s{_INSTEAD}") from None
    except subprocess.CalledProcessError as problem:
        words = problem.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        how = messages.end_in_words(problem.returncode)
        raise NnlcError(f"{failed}ended: {words or how}") from None
    return messages.decode(answer.stdout)
