"""The program `nnlc`: its commands in groups, and its handling of errors."""

import errno
import sys
from typing import Annotated

import typer

from nnlc.cli import (
    cluster_commands,
    curve_commands,
    families_commands,
    folder_commands,
    picture_commands,
    run_commands,
    site_commands,
    table_commands,
)
from nnlc.console import flush_output, prepare_output, say, say_aside, stop_printing

app = typer.Typer(
    help="Learning curves of random convolutional networks. Train with python -m nnlc.worker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GROUPS = {
    "Run": (run_commands, families_commands),
    "On a cluster": (site_commands, cluster_commands),
    "Tables": (table_commands, folder_commands),
    "Curves": (curve_commands,),
    "Pictures": (picture_commands,),
}
"""Modules of each group of commands, in the order of `nnlc --help`."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a disk that takes no more data."""


def main() -> None:
    """Run the command; print a user's mistake as a message without traceback."""
    from nnlc.errors import ExitStatus, NnlcError

    prepare_output()
    try:
        try:
            app()
        finally:
            flush_output()
    except NnlcError as problem:
        say_aside(f"error: {problem}")
        sys.exit(ExitStatus.ERROR)
    except BrokenPipeError:  # the reader of a pipe, such as head, has ended
        stop_printing()
        sys.exit(ExitStatus.ERROR)
    except OSError as problem:
        gone = "the working directory" if problem.errno == errno.ENOENT else "the system"
        nameless = "the output" if problem.errno in _FULL else gone
        say_aside(f"error: {problem.filename or nameless}: {problem.strerror or problem}")
        sys.exit(ExitStatus.ERROR)
    except MemoryError:
        say_aside("error: there is too little memory; see 'ulimit -v', or give fewer tables")
        sys.exit(ExitStatus.ERROR)


def _version(asked: bool) -> None:
    if asked:
        from nnlc import __version__

        say(f"nnlc {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


for group, modules in GROUPS.items():
    for module in modules:
        for command in module.app.registered_commands:
            command.rich_help_panel = group
        app.registered_commands += module.app.registered_commands
