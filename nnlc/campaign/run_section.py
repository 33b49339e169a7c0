"""Section `[run]` of a campaign file: settings of jobs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nnlc.campaign.dataset_section import Count, Section
from nnlc.system.one_line import check_line

Minutes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class RunSection(Section):
    """Section `[run]`: settings of jobs, on which no table depends."""

    attempts: Count = 3
    """Failed attempts after which a network is recorded as failed."""
    checkpoint_minutes: Minutes = 5.0
    """Minutes between checkpoints of a network; more if saving would take over 1% of the time."""
    hang_minutes: Minutes = 5.0
    """Minutes without a step after which a trainer is replaced, if they are also more than 20 times
    its slowest step."""
    disk_minutes: Minutes = 10.0
    """Minutes after which a job ends if its results can't be written."""
    bad_nodes: Annotated[int, Field(ge=0, le=1000)] = 4
    """Nodes of a site that jobs leave out at most, since their GPUs fail or all trainers end there;
    a job that another one ends is an error. 0: none is left out."""
    bad_node_days: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 7.0
    """Days after which such a node is used again."""
    keep: Literal["none", "final", "best"] = "none"
    """Weights to keep of each network. "final": those after the last half epoch, and all that is
    needed to train further after `nnlc grow`. "best": those of the first half epoch with the best
    validation accuracy."""
    notify: Annotated[str, AfterValidator(check_line)] | None = None
    """Shell command that is told when the campaign ends, fails, stalls or loses a node, by JSON on
    its standard input, in the results folder; by default the site file's."""
