"""What a job needs on its nodes: the layout of its chunks, its files and its variables."""

import os
import shutil
from pathlib import Path

from pbs_options import SERVER
from pbs_server import Element, Server
from pbs_site import Site


class JobPlace:
    """Where the elements of a job run."""

    def __init__(self, number: int) -> None:
        self.server, self.number = Server(), number
        self.job = self.server.job(number)
        self.place = self.server.place(number)

    def layout(self) -> list[list[dict[str, str]]]:
        """Return the chunks of each node. [] is a chunk that no node has room for.

        qsub(1B): with place=scatter each chunk has its own host, with pack all have one, and
        otherwise, free, they are put together where they fit.
        """
        arrangement = self.job.resources.get("place", "free").split(":")
        alone = {"scatter", "vscatter"} & set(arrangement)
        site, nodes = self.server.site, []
        for chunk in self.job.chunks:
            together = [*nodes[-1], chunk] if nodes else [chunk]
            if not self.fits([chunk], site):
                return [[]]
            if nodes and not alone and self.fits(together, site):
                nodes[-1] = together
            elif nodes and "pack" in arrangement:
                return [[]]
            else:
                nodes.append([chunk])
        return nodes

    @staticmethod
    def fits(chunks: list[dict[str, str]], site: Site) -> bool:
        return all(
            sum(int(chunk.get(name, 0)) for chunk in chunks) <= getattr(site, name)
            for name in ("ncpus", "ngpus")
        )

    def paths(self, element: Element) -> tuple[Path, Path, bool]:
        """Return the files of standard output and error, and whether they are written at once.

        qsub(1B) -k: "d" writes at once to the final path; "o" and "e" alone keep the file in the
        home directory; otherwise it is copied at the end. Its name is that of -o, or NAME.oNUMBER
        in the folder of submission; a subjob's has its index behind it (UG, job arrays).
        """
        found = []
        index = "" if element.index is None else str(element.index)
        for letter, given, ending in (("o", self.job.output, "OU"), ("e", self.job.error, "ER")):
            path = Path(self.job.folder, given.rpartition(":")[2].replace("^array_index^", index))
            default = f"{self.job.name}.{letter}{self.number}" + (f".{index}" if index else "")
            if not given:
                path /= default
            elif path.is_dir() or given.endswith("/"):
                path /= f"{element.id(self.number)}.{ending}"
            if letter in self.job.keep and "d" not in self.job.keep:
                path = Path(os.environ["HOME"], default)
            found.append(path)
        out, err = found
        if self.job.join != "n":
            out = err = out if self.job.join == "oe" else err
        return out, err, "d" in self.job.keep

    def spool(self, element: Element) -> tuple[Path, Path]:
        """Return where the output is written while the job runs."""
        out, err, at_once = self.paths(element)
        if at_once and out.parent.is_dir() and err.parent.is_dir():
            return out, err
        name = element.id(self.number)
        first = self.place / f"{name}.OU"
        return first, first if out == err else self.place / f"{name}.ER"

    def environment(self, element: Element, node_file: Path) -> dict[str, str]:
        """Return what a job sees: its login's variables, PBS' own and those of -v or -V.

        qsub(1B), ENVIRONMENT VARIABLES. $STANDIN_PBS_LOGIN names what the login's shell files
        would set, with the values of the shell that submitted.
        """
        login = os.environ.get("STANDIN_PBS_LOGIN", "PATH").split(":")
        kept = {"HOME", "USER", "LOGNAME", "SHELL", *login}
        submitted = ("HOME", "LANG", "LOGNAME", "PATH", "MAIL", "SHELL", "TZ")
        scratch = self.place / f"tmp-{element.id(self.number)}"
        scratch.mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if k in kept or k.startswith("STANDIN_PBS")}
        env |= {f"PBS_O_{k}": os.environ[k] for k in submitted if k in os.environ}
        if element.index is not None:
            env["PBS_ARRAY_INDEX"] = str(element.index)
            env["PBS_ARRAY_ID"] = f"{self.number}[].{SERVER}"
        return {
            **env,
            "PBS_ENVIRONMENT": "PBS_BATCH",
            "PBS_JOBID": element.id(self.number),
            "PBS_JOBNAME": self.job.name,
            "PBS_QUEUE": self.job.queue,
            "PBS_NODEFILE": str(node_file),
            "PBS_JOBDIR": os.environ["HOME"],
            "PBS_O_HOST": "login1",
            "PBS_O_QUEUE": self.job.queue,
            "PBS_O_SYSTEM": "Linux",
            "PBS_O_WORKDIR": self.job.folder,
            "NCPUS": self.job.chunks[0]["ncpus"],
            "TMPDIR": str(scratch),
            **dict([self.mark(element).split("=", 1)]),
            "STANDIN_PBS_NODE": element.nodes[0],
            **self.job.variables,
        }

    def mark(self, element: Element) -> str:
        """Return the variable of all processes of an element of this server."""
        return f"STANDIN_PBS_JOB={self.server.folder}:{element.id(self.number)}"

    def deliver(self, element: Element) -> None:
        """Copy the output to its final path; what can't be copied stays in the spool."""
        for spooled, final in zip(self.spool(element), self.paths(element)[:2], strict=True):
            if spooled != final and final.parent.is_dir():
                shutil.copyfile(spooled, final)
