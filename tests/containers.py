"""A stand-in for apptainer, with images for it; see tests/apptainer/apptainer."""

import json
import os
import sys
from pathlib import Path

STANDINS = Path(__file__).parent / "apptainer"
HEAD = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0"


def write_image(path: Path, *folders: Path, **environment: str) -> Path:
    """An image with programs of these folders; by default those beside this Python."""
    content = {"path": [str(each) for each in folders or [Path(sys.executable).parent]]}
    path.write_bytes(HEAD + json.dumps(content | {"env": environment}).encode())
    return path


def with_apptainer(hidden: Path) -> dict[str, str]:
    """Variables with which jobs find the stand-in, which hides a folder from containers."""
    return {
        "PATH": f"{STANDINS}{os.pathsep}{os.environ['PATH']}",
        "APPTAINER_STANDIN_HIDES": str(hidden),
    }
