"""Sites for tests of job scripts: the shipped ones, and a user's own."""

from pathlib import Path

from nnlc.launching.render import Request, render_script
from nnlc.schedulers.site import Site, load_site
from nnlc.system.shipped import shipped_names

GOLDEN = Path(__file__).parent / "golden"
SCHEDULERS = ("slurm", "lsf", "pbs", "local")
SITES = tuple(shipped_names("site_configs", ".toml"))

# Site files such as a user writes, and what goes with the larger campaign.
OWN_SITES = {
    "slurm": """
        extends = "slurm"
        name = "my-slurm"
        account = "m1234_g"
        queue = "gpu"
        mps = true
        memory_gigabytes_per_node = 200
        max_nodes = 64
        directives = ["--constraint=gpu", "--qos=regular"]
        setup = ["module load python", 'source "$HOME/env/bin/activate"']
        launcher_options = ["--mpi=pmix", "--cpu-bind=cores"]
    """,
    "lsf": """
        extends = "lsf"
        name = "my-lsf"
        account = "ABC123"
        queue = "batch"
        exclusive = true
        directives = ["-alloc_flags 'nvme smt1'"]
        setup = ["module load python"]
    """,
    "pbs": """
        extends = "pbs"
        name = "my-pbs"
        account = "ABC123"
        queue = "gpu"
        mps = true
        memory_gigabytes_per_node = 200
        local_disk = "/local/$USER"
        directives = ["-k doe"]
        setup = ["module load python"]
        launcher_options = ["--depth=8", "--cpu-bind=depth"]
    """,
    "local": """
        extends = "local"
        name = "my-workstation"
        gpus_per_node = 4
        setup = ["source env/bin/activate"]
        launcher_options = ["-bind-to", "core:2"]
    """,
}

# All keys whose values reach a shell, each with characters that a shell would act on.
QUOTED_SITE = r"""
    extends = "lumi"
    name = "boxed"
    account = "ABC123"
    queue = "small-g"
    container = "apptainer exec --rocm --bind '/data/a b,/opt' \"/images/it's $(touch x).sif\""
    notify = "printf '%s\\n' \"$HOME\" `id` > \"it's over\""
    rank_setup = ['export ROCR_VISIBLE_DEVICES="$SLURM_LOCALID"', "export SEEN='it is $HOME'"]
    directives = ["--comment='of $USER, with ; & |'"]
    launcher_options = ["--cpu-bind=mask_cpu:fe", "--msg=$(touch x)"]
"""


def own_site(folder: Path, text: str) -> Site:
    path = folder / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_site(path)


def shipped_site(name: str) -> Site:
    """A shipped site, with the account that those which demand one can't know."""
    site = load_site(name)
    return load_site(name, account="ABC123") if site.account_required else site


def render(campaign: str, site: Site, **wishes: object) -> str:
    return render_script(Request(campaign=campaign, **wishes), site)
