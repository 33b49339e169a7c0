"""Scripts that are rendered for shipped sites, to be checked or damaged."""

from functools import cache

from nnlc.launching.render import Request, render_script
from nnlc.schedulers.site import Notice, Site, load_site


def shipped(name: str) -> Site:
    """A shipped site, with the account that some want, and content with the default memory."""
    return load_site(name).model_copy(update={"account": "ABC123", "exclusive": False})


def five_minutes(name: str) -> Site:
    """The same with a notice of 5 minutes, whatever the site has."""
    return shipped(name).model_copy(update={"notice": Notice(signal="URG", minutes=5)})


@cache
def rendered(name: str, **changes: object) -> str:
    """A script for the latter."""
    words = {"campaign": "paper", "script": "/a b/job.sh", "images": "/the images", **changes}
    return render_script(Request(**words), five_minutes(name))
