"""Sites, and forecasts of networks that take so many hours, for the tests of plans."""

from dataclasses import replace

from nnlc.campaign.campaign import load_campaign
from nnlc.launching.forecast import Forecast, NetworkForecast
from nnlc.launching.limits import PlanRequest
from nnlc.schedulers.site import Gpu, Site, load_site

SMOKE = load_campaign("smoke")
V100 = Gpu(model="NVIDIA V100", fp32_teraflops=15.7, memory_gigabytes=16)
FREE = PlanRequest()
HOUR = 3600


def a_site(**facts) -> Site:
    commands = {"slurm": "sbatch", "lsf": "bsub", "pbs": "qsub", "local": "bash"}
    submit = commands[facts.get("scheduler", "slurm")]
    known = {"name": "here", "scheduler": "slurm", "submit": submit, "gpus_per_node": 2}
    return Site(**known | {"cores_per_rank": 1, "gpu": V100} | facts)


SUMMIT = load_site("summit")


def forecast_of(site: Site, hours: list[float], waiting: list[int] | None = None) -> Forecast:
    """A campaign of networks that take so many hours."""
    networks = list(SMOKE.networks())
    found = [
        NetworkForecast(
            network=replace(networks[i % len(networks)], index=i),
            seconds=HOUR * h,
            nominal_seconds=HOUR * h,
            operations=1,
            parameters=1000,
            convolutions=1,
            memory_bytes=1,
        )
        for i, h in enumerate(hours)
    ]
    left = frozenset(range(len(hours)) if waiting is None else waiting)
    return Forecast(
        campaign=SMOKE,
        site=site,
        gpu=site.gpu or V100,
        networks=tuple(found),
        waiting=left,
        done=len(hours) - len(left),
        failed=0,
        measured=None,
    )
