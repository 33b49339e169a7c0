"""Commands for families of networks."""

from typing import Annotated

import typer

from nnlc.console import say

app = typer.Typer()


@app.command("check-family")
def check_family(
    family: Annotated[
        str | None,
        typer.Argument(
            help="The name of a family, or MODULE:CLASS for a module in the working directory; "
            "default: that of the campaign."
        ),
    ] = None,
    networks: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of networks in the sample.")
    ] = 20,
    images: Annotated[
        str | None,
        typer.Option(
            help="Images of the networks: a name, such as CIFAR-10, or an .npz file; default: "
            "F-MNIST-sample, or those of the campaign."
        ),
    ] = None,
    campaign: Annotated[
        str | None,
        typer.Option(help="A campaign: check its networks, with its settings and recipe."),
    ] = None,
) -> None:
    """Check a family of your own before its first campaign: a line for each part, and the costs.

    The exit status is 0 if nothing is wrong, and 1 otherwise. No images are needed: random pixels
    stand in for them.
    """
    from nnlc.errors import ExitStatus
    from nnlc.training.family_check_process import check_family as check

    if not check(family, images, networks, say, campaign):
        raise typer.Exit(ExitStatus.ERROR)
