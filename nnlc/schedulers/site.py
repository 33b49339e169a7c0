"""Site files: facts about a machine that a job script needs.

A site file is TOML. `extends = "NAME or path"` takes another site, of which this file replaces
some keys. A mistake is refused with file, key, and valid values.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    field_validator,
)

from nnlc.errors import SchedulerError, SiteError
from nnlc.schedulers.container import Container
from nnlc.schedulers.scheduler import Queue, Scheduler
from nnlc.schedulers.scheduler_registry import SCHEDULERS, scheduler_named
from nnlc.schedulers.site_queues import SiteLimits, in_queue, with_queues
from nnlc.schedulers.site_values import (
    Bin,
    Count,
    Gpu,
    Line,
    Notice,
    Positive,
    Program,
    QueueLimits,
    Word,
    check_word,
)
from nnlc.system.files import folder_of_user
from nnlc.system.shipped import shipped_names
from nnlc.system.toml_file import Layers, find_file, read_layers, validate

THIS_MACHINE = "local"
"""Name of the shipped site for one machine without a scheduler."""


class Site(SiteLimits, BaseModel):
    """A machine, with its scheduler, its nodes and its limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: Word
    """Name of the site in scripts and messages."""
    scheduler: Annotated[
        Scheduler, PlainValidator(scheduler_named), Field(json_schema_extra={"enum": [*SCHEDULERS]})
    ]
    """Scheduler, whose directives and launcher scripts use; `local`: no directives, and mpirun."""
    template: Line | None = None
    """Path of your own template, which may extend nnlc's; relative to the site file."""
    submit: Line
    """Command before the script's name, such as `sbatch` or `bsub <`."""
    gpus_per_node: Count
    """GPUs of a node, each of which gets one rank; with device = "cpu", the ranks of a node."""
    cores_per_rank: Count
    """CPU cores that each rank gets, most of them for reading and preparing images."""
    memory_gigabytes_per_node: Count | None = None
    """Memory of each node that jobs ask for; the scheduler's default may be little."""
    exclusive: bool | None = None
    """True if jobs ask for whole nodes with all their memory; false if jobs get whole nodes anyway,
    or may share them."""
    mps: bool = False
    """True if small networks share a GPU through NVIDIA's Multi-Process Service. Each rank starts
    one; under LSF the system does."""
    trainers_per_gpu: Count | Literal["auto"] = "auto"
    """Trainer processes of a rank; auto: one, or with `mps` as many as suit its GPU and cores."""
    device: Literal["cuda", "cpu", "auto"] = "cuda"
    """Device that ranks train on; with cuda a rank without a GPU is an error."""
    gpu: Gpu | None = None
    """Speed and memory of a rank's GPU, for `nnlc plan` and for jobs, until they are measured."""
    account: Word | None = None
    """Project that is charged."""
    account_required: bool = False
    """True if the site starts no job without an account."""
    queue: Word | None = None
    """Queue of LSF or PBS, Slurm's partition; the site's default if left out. `partition` means the
    same."""
    queue_option: Word | None = None
    """Option that chooses the queue, without dashes, where there are several: Slurm's `partition`,
    the default, or `qos`."""
    nodes: Count = 1
    """Default number of nodes of a job."""
    walltime_minutes: Count = 120
    """Default length of a job. Nothing ends a job on a local site."""
    max_nodes: Count | None = None
    """Most nodes of a job."""
    max_walltime_minutes: Count | None = None
    """Longest walltime of a job."""
    bins: tuple[Bin, ...] = ()
    """Longest walltimes that depend on the number of nodes and on the queue."""
    queues: dict[Word, QueueLimits] = Field(default_factory=dict)
    max_queued_jobs: Count | None = None
    """Most jobs of a user in the queue; an array's element is a job."""
    max_running_jobs: Count | None = None
    """Most jobs of a user that run at a time."""
    max_array_elements: Count = 1000
    """Most elements of one array; a longer one is split."""
    charge_factor: Positive = 1.0
    """Charge for an hour of a node, in the site's unit."""
    notice: Notice = Notice()
    requeue: bool = True
    """True if an unfinished job puts itself into the queue again."""
    links_at_once: Count = 1
    """Jobs of each script to put into the queue at once, where jobs can't submit the next one: each
    waits for the end of the one before. 1: an unfinished job submits its successor."""
    local_disk: Line | None = None
    """Path of a node's own disk for images, such as `/mnt/bb/$USER`; the shell expands it."""
    directives: tuple[Line, ...] = ()
    """More directives, each without its `#SBATCH`, `#BSUB` or `#PBS`."""
    container: Annotated[Container, PlainValidator(Container.read), PlainSerializer(str)] | None = (
        None
    )
    """Command that runs the ranks in a container, such as "apptainer exec --nv IMAGE.sif"; the path
    of the image is relative to the site file. nnlc makes the folders of results, images and
    campaign visible in it, by --bind."""
    python: Program | None = None
    """Python of the ranks, as the nodes find it, not checked; default: the one that runs nnlc. With
    a container, the Python in its image, by default python3, which is checked."""
    setup: tuple[Line, ...] = ()
    """Shell lines to copy before the launcher unchanged, such as `module load python`."""
    notify: Line | None = None
    """Shell command that is told when a campaign ends, fails, stalls or loses a node, by JSON on
    its standard input; a campaign's own run.notify replaces it. Rank 0 runs it, on a node that may
    have no network, in the results folder."""
    launcher_options: tuple[Line, ...] = ()
    """More arguments for srun, jsrun, mpiexec or mpirun, one per element."""
    rank_setup: tuple[Line, ...] = ()
    """Shell lines that each rank runs before Python, such as
    `export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"`; a line that fails ends the rank."""
    binds_gpus: bool = True
    """False if srun shows each rank all GPUs of its node: the rank takes that of its number there,
    or the one that `rank_setup` shows it."""
    tried: Line = "never run"
    """Note on runs of nnlc with this very file, such as `never run`; `nnlc sites` shows it."""

    @field_validator("queue_option", "binds_gpus")
    @classmethod
    def _is_a_choice(cls, value: str | bool | None, info: ValidationInfo) -> str | bool | None:
        """Check that the scheduler has this way to choose queues, or to leave GPUs to ranks."""
        if (scheduler := info.data.get("scheduler")) is None:
            return value
        known = scheduler.queue_options
        if isinstance(value, str) and value not in known:
            raise ValueError(f"must be {' or '.join(known) or 'left out'}")
        if value is False and not scheduler.may_bind_gpus:
            raise ValueError(f"nnlc has no such choice with {scheduler.title}; leave it out")
        return value

    @field_validator("memory_gigabytes_per_node", "exclusive")
    @classmethod
    def _can_be_asked_for(cls, value: int | None, info: ValidationInfo) -> int | None:
        """Check that the scheduler has an option for this, and that not both keys are set."""
        scheduler = info.data.get("scheduler")
        is_memory = info.field_name == "memory_gigabytes_per_node"
        if value and scheduler:
            if not (scheduler.memory_directive if is_memory else scheduler.exclusive_directives):
                raise ValueError(f"nnlc has no option of {scheduler.title} for this; leave it out")
            if info.data.get("memory_gigabytes_per_node"):
                raise ValueError(
                    "whole nodes have all their memory; leave out memory_gigabytes_per_node"
                )
        return value

    @field_validator("links_at_once")
    @classmethod
    def _can_wait(cls, links: int, info: ValidationInfo) -> int:
        """Check that the scheduler has jobs that wait for others."""
        scheduler = info.data.get("scheduler")
        if links > 1 and scheduler and not scheduler.starts_after:
            raise ValueError(f"nnlc can't have jobs of {scheduler.title} wait; leave it out")
        return links

    @field_validator("submit")
    @classmethod
    def _is_what_submits(cls, submit: str, info: ValidationInfo) -> str:
        """Check that the command has no options or wrapper, which 'nnlc submit' would leave out."""
        scheduler = info.data.get("scheduler")
        right = scheduler.submit_commands if scheduler else ()
        if right and " ".join(submit.split()) not in right:
            raise ValueError(f"must be {' or '.join(right)}; put options into directives")
        return submit

    @field_validator("launcher_options")
    @classmethod
    def _is_one_word_each(cls, options: tuple[str, ...]) -> tuple[str, ...]:
        """Check that each element is one word, as the launcher gets it."""
        if several := [o for o in options if re.match(r"--?[\w-]+\s|.*\s--\w", o)]:
            raise ValueError(f"{several[0]!r} is one word to a launcher; make it several elements")
        return options


def load_site(
    name_or_path: str | Path, *, account: str | None = None, queue: Sequence[str] | None = None
) -> Site:
    """Return a site by its name, shipped or the user's own, or by the path of its TOML file.

    Its limits are those of its queue (`nnlc.schedulers.site_queues`).

    Args:
        name_or_path: the site.
        account: account to use in place of the file's.
        queue: values of --queue and --partition, at most one; it replaces the file's.

    Raises:
        SiteError: the site file is wrong; the message names file, key and what would be right.
    """
    path = find_site(str(name_or_path))
    layers = read_layers(path, find_site, SiteError)
    layers.rename("partition", "queue", SiteError)
    site = validate(Site, layers, SiteError, keys="nnlc keys site")
    if site.scheduler.has_queue:
        site = with_queues(site, layers)
    else:
        _check_local(site, layers, account, queue)
    changes: dict[str, object] = {"tried": layers.each[0].get("tried", "never run")}
    if site.template is not None:
        folder = layers.file_of(["template"]).parent
        changes["template"] = str((folder / site.template).absolute())
    if site.container is not None:
        folder = layers.file_of(["container"]).parent
        changes["container"] = site.container.relative_to(folder)
    if queue and len(queue) > 1:
        raise SiteError("--queue and --partition mean the same; give one of them, once")
    given = {"account": account, "queue": queue[0] if queue else None}
    for key, value in given.items():
        if value is not None:
            try:
                changes[key] = check_word(value)
            except ValueError as problem:
                raise SiteError(f"--{key}: {problem}") from None
    return in_queue(site.model_copy(update=changes), given["queue"] or site.queue)


_OF_SCHEDULERS = (
    *("account", "account_required", "queue", "walltime_minutes", "max_walltime_minutes", "bins"),
    *("max_queued_jobs", "max_running_jobs", "max_array_elements", "notice", "requeue"),
    *("links_at_once", "local_disk", "directives", "queue_option", "queues"),
)


def _check_local(
    site: Site, layers: Layers, account: str | None, queue: Sequence[str] | None
) -> None:
    """Check that a local site has no keys that only a scheduler would read."""
    for key, value in (("account", account), ("queue", queue)):
        if value:
            raise SiteError(
                f"--{key}: {site.name} is a local site, which has no {key}s; leave it out"
            )
    for key in _OF_SCHEDULERS:
        if getattr(site, key) != Site.model_fields[key].get_default(call_default_factory=True):
            raise SiteError(
                f"{layers.file_of([key])}, key {key}: means nothing on a local site, which has no "
                "scheduler; leave it out"
            )


def find_site(name_or_path: str) -> Path:
    """Return the file of a site, given its path or its name, shipped or the user's own.

    Users' own site files are in the working directory or in ~/.config/nnlc.

    Raises:
        SiteError: there is no such site.
    """
    if re.fullmatch(r"[\w.-]+", name_or_path):
        for folder in filter(None, (Path(), folder_of_user("XDG_CONFIG_HOME", ".config"))):
            path = folder / f"{name_or_path}.toml"
            # A shipped name means the shipped site: a user's of the same name may extend it.
            if os.path.lexists(path) and name_or_path not in shipped_names("site_configs", ".toml"):
                return path
    return find_file(name_or_path, "site_configs", SiteError)


def file_to_write(site: Site, gap: str = " ") -> str:
    """Return words on the file for keys that a site lacks: its own, or one that extends it.

    Only a shipped site can be extended by the name that it has in its file.
    """
    if site.name in shipped_names("site_configs", ".toml"):
        return f'a site file with{gap}extends = "{site.name}"'
    return f"the site file of {site.name}"


def queue_of(site: Site) -> Queue:
    """Return the scheduler of a site.

    Raises:
        SchedulerError: the site has no scheduler.
    """
    if not isinstance(site.scheduler, Queue):
        raise SchedulerError(
            f"the site {site.name} has no scheduler: run the script that 'nnlc render' writes "
            "with bash"
        )
    return site.scheduler
