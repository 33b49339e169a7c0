"""How many GPUs a node has, from what containers and cgroups leave to see; and which a rank has."""

import os
from pathlib import Path

import pytest

from nnlc.system import hardware
from nnlc.system.hardware import gpu_for_rank, gpus_of_node


@pytest.fixture(autouse=True)
def node(tmp_path, monkeypatch):
    """A node without GPUs, as a tree of its files."""
    for name in ("_GPUS", "_FILES", "_AMD_NODES", "_PCI"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setattr(hardware, name, folder)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "_FILES" / "nvidia-uvm").touch()
    (tmp_path / "_FILES" / "nvidiactl").touch()
    add_node(tmp_path, 0, "0")  # a processor
    for name in ("bind", "module", "new_id", "uevent"):
        (tmp_path / "_PCI" / name).touch()
    return tmp_path


def add_node(node: Path, number: int, gpu_id: str) -> Path:
    file = node / "_AMD_NODES" / str(number) / "gpu_id"
    file.parent.mkdir()
    file.write_text(f"{gpu_id}\n")
    return file


def test_a_node_without_gpus_has_none(node, monkeypatch):
    assert gpus_of_node() == 0
    for name in ("_GPUS", "_FILES", "_AMD_NODES", "_PCI"):
        monkeypatch.setattr(hardware, name, node / "absent")
    assert gpus_of_node() == 0


@pytest.mark.parametrize("place", ["_GPUS", "_FILES"])
def test_a_place_that_is_left_to_see_is_enough(node, place):
    for number in range(4):
        (node / place / f"nvidia{number}").mkdir()
    assert gpus_of_node() == 4


def test_pci_devices_of_the_driver_are_counted_where_nothing_else_is_left(node):
    for address in ("0000:17:00.0", "0000:18:00.0"):
        (node / "_PCI" / address).symlink_to("absent")
    assert gpus_of_node() == 2
    (node / "_FILES" / "nvidia0").touch()  # of a container that has one of them
    assert gpus_of_node() == 1


def test_amd_gpus_that_a_cgroup_forbids_are_counted(node, monkeypatch):
    add_node(node, 1, "4711")
    forbidden = add_node(node, 2, "4712")
    read = hardware.read_regular

    def refuse(path):
        if path == forbidden:
            raise PermissionError(1, os.strerror(1), str(path))
        return read(path)

    monkeypatch.setattr(hardware, "read_regular", refuse)
    assert gpus_of_node() == 2


@pytest.mark.parametrize(
    ("told", "gpus"),
    [
        ("0,1,2", ["0", "1", "2", "0"]),
        ("GPU-a, GPU-b", ["GPU-a", "GPU-b", "GPU-a", "GPU-b"]),
        ("3", [None] * 4),
        ("", [None] * 4),
    ],
)
def test_ranks_that_are_given_several_gpus_take_them_in_turn(monkeypatch, told, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    assert [gpu_for_rank(rank) for rank in range(4)] == gpus


def test_without_a_choice_ranks_take_the_gpus_that_they_may_open(node, monkeypatch):
    assert gpu_for_rank(0) is None
    for number in range(4):
        (node / "_FILES" / f"nvidia{number}").touch()
    assert [gpu_for_rank(rank) for rank in range(5)] == ["0", "1", "2", "3", "0"]
    allowed = {str(node / "_FILES" / name) for name in ("nvidia2", "nvidia3")}
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) in allowed)
    assert [gpu_for_rank(rank) for rank in range(3)] == ["0", "1", "0"], "CUDA numbers only these"
