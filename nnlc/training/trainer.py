"""The trainer process, started by its rank's agent: `python -m nnlc.training … LOCAL_RANK`.

It reads messages from standard input, answers on standard output, and trains one network after
another until the input ends. `nnlc.system.messages` lists the messages.
"""

import contextlib
import os
import platform
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, NoReturn

import torch

from nnlc.campaign.campaign import Campaign, parse_campaign
from nnlc.errors import DeviceError, FamilyError, NnlcError
from nnlc.families.arithmetic import arithmetic_of, fingerprint, older_ways
from nnlc.families.network_family import NetworkFamily
from nnlc.families.registry import naming_folder, specification_from_json
from nnlc.networks import ImageSet, Specification
from nnlc.networks.machine import DeviceKind
from nnlc.networks.recipe import TrainingSection
from nnlc.results.folder import ResultsFolder, checkpoints_in
from nnlc.system import messages
from nnlc.system.files import PrepareFolder, make_folder
from nnlc.system.process import end_with_parent
from nnlc.training.attempt import Attempt, Interrupted, failure_message
from nnlc.training.checkpoint import Checkpoints
from nnlc.training.determinism import make_deterministic
from nnlc.training.device_info import bit_deciding, circumstances, describe_device, free_memory
from nnlc.training.gpu_stream import wait_for_gpu
from nnlc.training.inbox import Inbox
from nnlc.training.kept_weights import KeptWeights
from nnlc.training.loaded_images import check_images, load_images
from nnlc.training.loop import HalfEpochLoop
from nnlc.training.pixels import DeviceImages
from nnlc.training.shared_folder import check_shared_folder
from nnlc.training.usable_gpu import find_gpus, why_unusable


class Trainer:
    """The trainer's side of the conversation with its agent: it answers each message.

    Args:
        inbox: the agent's messages.
        channel: the pipe for the answers.
        local_rank: the agent's rank on its node, which chooses among the visible GPUs.
    """

    def __init__(self, inbox: Inbox, channel: BinaryIO, local_rank: int) -> None:
        self._inbox, self._channel = inbox, channel
        gpus, _ = find_gpus()
        self._gpu_index = local_rank % gpus if gpus else None
        self._device = torch.device("cpu")
        self._root, self._checkpoints = Path(), Path()
        self._ready: PrepareFolder = make_folder
        self._results: ResultsFolder | None = None
        self._campaign: Campaign  # set by "configure", the agent's first message
        self._family: NetworkFamily
        self._images: dict[str, DeviceImages] = {}
        self._limit: str | None = None

    def serve(self) -> None:
        """Answer messages until the pipe ends or a message says to end."""
        self._send({"kind": "ready", "device": describe_device(self._gpu_index)})
        for message in self._inbox:
            try:
                match message["kind"]:
                    case "configure":
                        self._configure(message)
                    case "count":
                        from nnlc.training.counting_process import count_costs  # seldom needed

                        self._send(count_costs(message))
                    case "circumstances":
                        self._send({"kind": "circumstances", **circumstances(self._device)})
                    case "check":
                        self._check(message)
                    case "checkpoints":
                        looked = self._inspect_checkpoints(
                            message["networks"], Path(message["folder"])
                        )
                        self._send({"kind": "checkpoints", **looked})
                    case "train":
                        self._train(message)
                    case "save":
                        return
            except NnlcError as problem:
                # Ends the process: a trainer that is not fully configured must not train.
                of_family = {"of_family": True} if isinstance(problem, FamilyError) else {}
                self._send({"kind": "fatal", "message": str(problem), **of_family})
                return
            except Interrupted:
                return

    def _configure(self, message: messages.Message) -> None:
        self._campaign = parse_campaign(message["campaign"], Path("the campaign of this job"))
        folder = message.get("results")  # 'nnlc verify' names none
        with naming_folder(folder and Path(folder)):
            self._family = self._campaign.network_family
        if self._family.reference is not None:
            make_deterministic()  # the family's code may have changed torch's settings
        self._root, self._checkpoints = Path(message["images"]), Path(message["checkpoints"])
        if "results" in message:
            results = ResultsFolder(Path(message["results"]))
            results.remember(self._campaign)
            self._ready, self._results = results.ready, results
        if message["device"] == "cuda":
            if self._gpu_index is None:
                raise DeviceError("no GPU is visible: start with --device cpu, or ask for GPUs")
            if unusable := why_unusable(self._gpu_index):
                raise DeviceError(f"the GPU of {platform.node()} can't be used: {unusable}")
            self._device = torch.device("cuda", self._gpu_index)
            torch.cuda.set_device(self._device)
        if "threads" in message:
            torch.set_num_threads(message["threads"])

    def _check(self, message: messages.Message) -> None:
        """Check this trainer's GPU, and that its node sees images and results folder of rank 0."""
        found: messages.Message = {}
        if "mark" in message:
            check_shared_folder(Path(message["mark"]))
            campaign = self._campaign
            for name, images in campaign.image_sets().items():
                check_images(images, campaign.datasets[name], self._root)
        if (begun := message.get("networks")) is not None:
            found = self._inspect_checkpoints(begun, self._checkpoints)
        if message.get("trains_twice"):
            from nnlc.training.device_check import check_device  # trainers on CPUs don't need it

            found |= check_device(self._campaign.training, self._device)
        if (sample := message.get("sample")) is not None:
            from nnlc.training.module_check import check_sample  # the article's don't need it

            drawn = [
                (specification_from_json(each["spec"]), ImageSet(**each["image_set"]))
                for each in sample
            ]
            found |= check_sample(self._family, drawn, self._campaign.training, self._kind)
        self._send({"kind": "checked", **found})

    def _inspect_checkpoints(
        self, networks: list[messages.Message], folder: Path
    ) -> messages.Message:
        """Return the IDs of networks that can resume, and foreign checkpoints of the others.

        Of a network's foreign checkpoints, the one with the longest training time is returned.
        """
        go_on, foreign = [], []
        names = checkpoints_in(folder)
        for each in networks:
            spec, images = specification_from_json(each["spec"]), ImageSet(**each["image_set"])
            checkpoints = self._checkpoints_of(
                spec, images, self._circumstances(spec, images), folder
            )
            others = checkpoints.foreign(names.get(spec.id, []))
            if others is None:
                go_on.append(spec.id)
            elif others:
                longest = max(others, key=lambda other: other.seconds)
                ways = older_ways(longest.arithmetic, *self._for_arithmetic(spec, images))
                about = {**longest._asdict(), "path": str(longest.path), "older_ways": ways}
                foreign.append({"id": spec.id, **about})
        return {"go_on": go_on, "foreign": foreign}

    def _circumstances(self, spec: Specification, images: ImageSet) -> dict[str, dict[str, Any]]:
        """Return the device, versions and settings with which a network is trained here."""
        return circumstances(self._device, arithmetic_of(*self._for_arithmetic(spec, images)))

    def _for_arithmetic(
        self, spec: Specification, images: ImageSet
    ) -> tuple[Specification, ImageSet, TrainingSection, str]:
        """Return the arguments of `arithmetic_of`."""
        return spec, images, self._campaign.training, "cuda" if spec.train_gpu else "cpu"

    def _train(self, message: messages.Message) -> None:
        """Train one network. Its images are loaded once and kept for later networks."""
        began, campaign, index = time.monotonic(), self._campaign, message["index"]
        spec, images = specification_from_json(message["spec"]), ImageSet(**message["image_set"])
        epochs = message.get("epochs", campaign.epochs)
        stopper = None
        if campaign.stop is not None and "epochs" not in message:
            from nnlc.analysis.stopper import Stopper  # only campaigns with a stop rule need it

            stopper = Stopper(campaign.stop, epoch=campaign.epochs)
        made = self._circumstances(spec, images)
        try:
            if self._family.reference is not None:
                from nnlc.training.module_check import refuse_unsound

                refuse_unsound(self._family, spec, images, campaign.training, self._kind)
            on_device = self._on_device(images)
            checkpoints = self._checkpoints_of(spec, images, made, self._checkpoints)
            facts = Attempt(
                index,
                checkpoints,
                self._inbox,
                self._send,
                checkpoint_seconds=60 * campaign.run.checkpoint_minutes,
                began=began,
                stopper=stopper,
                kept=self._kept_weights(spec, checkpoints) if "epochs" not in message else None,
            ).run(
                lambda between_steps: HalfEpochLoop(
                    self._family,
                    spec,
                    images,
                    on_device,
                    campaign.training,
                    epochs,
                    between_steps,
                    graphs=message.get("graphs", True),
                    campaign_epochs=campaign.epochs,
                ),
                self._device,
            )
        except Interrupted:
            raise
        except Exception as problem:
            # After a device error or a failed capture, this process may not compute rightly.
            own = self._family.space if self._family.reference is not None else None
            self.end(failure_message(index, problem, own))
        free_memory(self._device)  # before the agent starts another trainer on this device
        self._send({"kind": "finished", "index": index, **facts, **made})

    def _checkpoints_of(
        self, spec: Specification, images: ImageSet, made: dict[str, dict[str, Any]], folder: Path
    ) -> Checkpoints:
        campaign = self._campaign
        about = {
            "network": spec.to_json(),
            "epochs": campaign.first_epochs,  # checkpoints stay usable after the campaign has grown
            "training": fingerprint(campaign.training),
            "images": campaign.datasets[images.name].sha256 or images.name,
            "train images": images.train_images,
            **bit_deciding(made),
        }
        if campaign.family is not None:
            about["family code"] = campaign.family.code
        return Checkpoints(folder, spec.id, about, self._ready)

    def _kept_weights(self, spec: Specification, checkpoints: Checkpoints) -> KeptWeights | None:
        if self._results is None:
            return None
        path, keep = self._results.weights_path(spec.id), self._campaign.run.keep
        return KeptWeights(path, keep, checkpoints, spec, self._ready)

    @property
    def _kind(self) -> DeviceKind:
        return "cuda" if self._device.type == "cuda" else "cpu"

    def _on_device(self, images: ImageSet) -> DeviceImages:
        campaign = self._campaign
        if images.name not in self._images:
            loaded = load_images(images, campaign.datasets[images.name], self._root)
            self._images[images.name] = DeviceImages(loaded, campaign.training, self._device)
            del loaded  # a GPU has its own copy, and a node many trainers
            free_memory(self._device)
        return self._images[images.name]

    def end(self, last: messages.Message | None = None) -> NoReturn:
        """Send a last message, if any, and end the process once the device has done its work."""
        wait_for_gpu(self._device)
        if last is not None:
            self._send(last)
        os._exit(0)  # Python's usual exit takes a second, and a device that failed can block it

    def note_time_limit(self, number: int, _frame: FrameType | None) -> None:
        """Record SIGXCPU, the signal at the end of the CPU time limit, for the next message."""
        self._limit = signal.Signals(number).name

    def _send(self, message: messages.Message) -> None:
        if self._limit is not None:
            notice, self._limit = {"kind": "notice", "signal": self._limit}, None
            self._channel.write(messages.encode(notice))
        self._channel.write(messages.encode(message))
        self._channel.flush()


def main(arguments: list[str]) -> None:
    """Run a trainer on this process's standard input and output."""
    end_with_parent()
    _prefer_to_be_killed()
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries goes to the log, not between the messages
    trainer = Trainer(Inbox(0), channel, int(arguments[0]))
    if signal.getsignal(signal.SIGXCPU) != signal.SIG_IGN:  # this process uses the CPU time
        signal.signal(signal.SIGXCPU, trainer.note_time_limit)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGXCPU])
    try:
        make_deterministic()
        trainer.serve()
        trainer.end()
    except NnlcError as problem:
        channel.write(messages.encode({"kind": "fatal", "message": str(problem)}))
        channel.flush()
    except BrokenPipeError:
        os._exit(1)  # the agent has ended


def _prefer_to_be_killed() -> None:
    """Ask Linux to kill a trainer, not an agent, if memory runs out: proc(5)."""
    with contextlib.suppress(OSError):  # not Linux, or not allowed
        Path("/proc/self/oom_score_adj").write_text("500")
