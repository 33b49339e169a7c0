"""What a trainer gets of the user's environment: no variable changes a table without being told."""

import ast
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gatherer_jobs import facts, place
from limits import HANG_SECONDS, Limit
from small_networks import CPU
from worker_jobs import TINY, tables, write_campaign

import nnlc
from nnlc import load_campaign, verify
from nnlc.errors import DeviceError, NnlcError
from nnlc.ranks import trainer_link
from nnlc.ranks.preflight import check_ranks, warnings
from nnlc.ranks.trainer_link import TrainerLink
from nnlc.results.history import Finish
from nnlc.results.makers import makers
from nnlc.system import messages
from nnlc.system.environment import (
    ALLOCATION,
    DETERMINISM,
    VARIABLES,
    fixed,
    overruled,
    recorded,
    row_of,
    rule_of,
    trainer_environment,
)
from nnlc.training import device_info
from nnlc.training.determinism import make_deterministic
from nnlc.training.device_info import bit_deciding, circumstances
from nnlc.verification import verify_trainer
from nnlc.verification.differences import changes
from nnlc.verification.verdicts import Verdict
from nnlc.verification.verify_text import verdict_lines
from nnlc.verification.verify_trainer import TrainingProcess

NAMES = [
    pytest.param(pattern.replace("*", "ANY"), row, id=pattern)
    for row in VARIABLES
    for pattern in row.names.split()
]
"""A variable for each name and pattern of the table, and its row."""
LIBRARIES = {"mkl", "mkldnn", "blas", "miopen"}

CHANGING = {
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
}
"""Values that change bits on a processor of today, where torch comes with these libraries."""
HARMLESS = {
    "OMP_PROC_BIND": "true",
    "KMP_BLOCKTIME": "0",
    "ONEDNN_VERBOSE": "0",
    "OMP_DYNAMIC": "true",
    "CUDA_LAUNCH_BLOCKING": "1",
}


# --- The table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "row"), NAMES)
def test_every_variable_of_the_table_becomes_what_its_row_says(name, row):
    assert row_of(name) == row, "an earlier row has it"
    assert row.why
    assert row.source
    given = trainer_environment({name: "the user's", "PATH": "/bin"})
    expected = {
        "fixed": row.value,
        "removed": None,
        "recorded": "the user's",
        "left": "the user's",
    }
    assert given.get(name) == expected[row.rule]
    assert overruled({name: "the user's"}).keys() == {name} & (
        {name} if row.rule in ("fixed", "removed") else set()
    )
    for device in ("cpu", "cuda"):
        here = row.rule == "recorded" and device in row.devices
        found = recorded({name: " the user's "}, device, LIBRARIES)
        assert found == ({name: "the user's"} if here else {})
        assert not recorded({name: " "}, device, LIBRARIES)


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (
            "fixed",
            "OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS CUBLAS_WORKSPACE_CONFIG "
            "MIOPEN_FIND_MODE MIOPEN_DEBUG_DISABLE_FIND_DB",
        ),
        (
            "recorded",
            "MKL_CBWR MKL_ENABLE_INSTRUCTIONS ONEDNN_MAX_CPU_ISA DNNL_MAX_CPU_ISA "
            "ATEN_CPU_CAPABILITY OPENBLAS_CORETYPE AOCL_ENABLE_INSTRUCTIONS "
            "HSA_OVERRIDE_GFX_VERSION",
        ),
        (
            "removed",
            "ONEDNN_DEFAULT_FPMATH_MODE DNNL_DEFAULT_FPMATH_MODE MKL_DEBUG_CPU_TYPE "
            "NVIDIA_TF32_OVERRIDE TORCH_ALLOW_TF32_CUBLAS_OVERRIDE CUBLASLT_WORKSPACE_SIZE "
            "CUBLAS_EMULATE_SINGLE_PRECISION CUBLAS_EMULATION_STRATEGY TORCH_BLAS_PREFER_CUBLASLT "
            "DISABLE_ADDMM_CUDA_LT CUDNN_CONV_WSCAP_DBG CUDNN_ERRATA_JSON_FILE "
            "TORCH_CUDNN_USE_HEURISTIC_MODE_B TORCH_CUDNN_V8_API_DISABLED MIOPEN_FIND_ENFORCE "
            "MIOPEN_DEBUG_CONV_WINOGRAD PYTORCH_MIOPEN_SUGGEST_NHWC HIPBLASLT_ALLOW_TF32 "
            "ROCBLAS_DEFAULT_ATOMICS_MODE PYTORCH_TUNABLEOP_ENABLED TORCH_MKLDNN_MATMUL_MIN_DIM "
            "BLIS_NUM_THREADS BLIS_IC_NT",
        ),
        (
            "left",
            "OMP_PROC_BIND OMP_PLACES OMP_DYNAMIC KMP_BLOCKTIME KMP_AFFINITY KMP_DUPLICATE_LIB_OK "
            "GOMP_CPU_AFFINITY MKL_VERBOSE MKL_THREADING_LAYER MKLROOT ONEDNN_VERBOSE "
            "ONEDNN_PRIMITIVE_CACHE_CAPACITY OPENBLAS_VERBOSE CUDA_LAUNCH_BLOCKING "
            "CUDA_VISIBLE_DEVICES PYTORCH_CUDA_ALLOC_CONF CUDNN_VERSION CUDNN_LOGLEVEL_DBG "
            "CUBLASLT_LOG_LEVEL MIOPEN_USER_DB_PATH MIOPEN_CUSTOM_CACHE_DIR ROCBLAS_LAYER "
            "LD_LIBRARY_PATH PATH PYTHONPATH SLURM_JOB_ID",
        ),
    ],
)
def test_variables_that_people_have_set_are_treated_as_they_need(rule, names):
    assert {name: rule_of(name) for name in names.split()} == dict.fromkeys(names.split(), rule)


def test_nobodys_environment_is_that_of_before():
    assert trainer_environment({"PATH": "/bin"}) == {"PATH": "/bin", **ALLOCATION, **fixed()}
    assert list(DETERMINISM) == [
        *("CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    ]
    assert not overruled({"PATH": "/bin", **DETERMINISM, "NVIDIA_TF32_OVERRIDE": ""})


def test_only_torch_for_amd_needs_and_records_how_miopen_chooses_kernels(monkeypatch):
    """Under torch for NVIDIA's GPUs, and on CPUs, checkpoints of before stay usable."""
    gpu = SimpleNamespace(name="x", multi_processor_count=110, total_memory=1, gcnArchName="gfx90a")
    gpu.pci_domain_id = gpu.pci_bus_id = gpu.pci_device_id = 0
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    monkeypatch.setattr(device_info, "why_unusable", lambda index: None)
    device = torch.device("cuda", 0)
    theirs = {"MIOPEN_FIND_MODE": "FAST", "MIOPEN_DEBUG_DISABLE_FIND_DB": "1"}
    assert fixed() == DETERMINISM | theirs
    for name in theirs | overruled(os.environ):
        monkeypatch.delenv(name, raising=False)
    for name, value in DETERMINISM.items():
        monkeypatch.setenv(name, value)
    make_deterministic()
    before = circumstances(CPU)
    assert not circumstances(device)["settings"].keys() & theirs
    monkeypatch.setattr(torch.version, "hip", "7.2")
    device_info._libraries.cache_clear()
    with pytest.raises(DeviceError, match="MIOPEN_FIND_MODE=FAST is not set"):
        make_deterministic()
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    make_deterministic()
    decisive = bit_deciding(circumstances(device))
    assert circumstances(CPU) == before
    device_info._libraries.cache_clear()
    assert decisive.items() >= {f"settings.{name}": value for name, value in theirs.items()}.items()


# --- Every process that trains ------------------------------------------------------------------

SAY = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


def test_every_process_that_trains_is_started_with_what_the_table_says(tmp_path, monkeypatch):
    for parameter in NAMES:
        monkeypatch.setenv(parameter.values[0], "the user's")
    command = (sys.executable, "-c", SAY)
    monkeypatch.setattr(trainer_link, "COMMAND", (*command, str(tmp_path / "agent")))
    TrainerLink(0, 0, "cpu").wait(HANG_SECONDS)
    monkeypatch.setattr(verify_trainer, "COMMAND", (*command, str(tmp_path / "verify")))
    with pytest.raises(NnlcError, match="no trainer could be started"):
        TrainingProcess(load_campaign("smoke"), tmp_path, "cpu", 1)
    for who in ("agent", "verify"):
        theirs = json.loads((tmp_path / who).read_text())
        assert trainer_environment(os.environ, "cpu").items() <= theirs.items()
        assert theirs["CUDA_VISIBLE_DEVICES"] == theirs["HIP_VISIBLE_DEVICES"] == "-1"
        assert not [name for name in theirs if rule_of(name) == "removed"]


def test_no_other_module_starts_a_trainer():
    """A new one is to give it `trainer_environment`, and a line in the test above."""
    package = Path(nnlc.__file__).parent
    starters = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == "nnlc.training.trainer"
    }
    assert starters == {"ranks/trainer_link.py", "verification/verify_trainer.py"}


def test_a_trainer_that_was_started_otherwise_does_not_train(monkeypatch):
    for name, value in trainer_environment(os.environ).items():
        monkeypatch.setenv(name, value)
    for name in overruled(os.environ):
        monkeypatch.delenv(name)
    make_deterministic()
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    with pytest.raises(DeviceError, match=r"TF32_OVERRIDE=1 must not be set.*nnlc\.worker"):
        make_deterministic()


# --- What is compared ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "row"), NAMES)
def test_a_checkpoint_is_foreign_exactly_where_a_recorded_variable_differs(name, row, monkeypatch):
    monkeypatch.setattr("nnlc.training.device_info._libraries", lambda: LIBRARIES)
    monkeypatch.delenv(name, raising=False)
    before = bit_deciding(circumstances(CPU))
    monkeypatch.setenv(name, row.value or "the user's")
    made = circumstances(CPU)
    added = bit_deciding(made).items() - before.items()
    if row.rule == "fixed":
        assert added == (set() if row.library else {(f"settings.{name}", row.value)})
    elif row.rule == "recorded" and "cpu" in row.devices:
        assert made["settings"][name] == "the user's"
        # What torch makes of it is compared: the instructions of the device.
        in_effect = name == "ATEN_CPU_CAPABILITY"
        assert added == (set() if in_effect else {(f"settings.{name}", "the user's")})
    else:
        assert not added
        assert name not in made["settings"]


def test_first_weights_for_a_gpu_depend_on_torchs_instructions_too():
    made = circumstances(CPU)
    made["device"]["instructions"] = None  # as on a GPU
    made["settings"]["ATEN_CPU_CAPABILITY"] = "default"
    assert bit_deciding(made)["settings.ATEN_CPU_CAPABILITY"] == "default"


def test_a_librarys_variables_count_only_where_torch_has_the_library():
    users = {"MKL_CBWR": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
    assert recorded(users, "cpu", {"mkl", "mkldnn"}).keys() == {"MKL_CBWR", "DNNL_MAX_CPU_ISA"}
    assert recorded(users, "cpu", {"blas"}).keys() == {"OPENBLAS_CORETYPE"}
    assert recorded(users, "cuda", LIBRARIES) == {}


def test_settings_in_the_journal_are_read_back_and_not_claimed(monkeypatch):
    os.environ.update(DETERMINISM)
    make_deterministic()
    assert circumstances(CPU)["settings"]["fp32_precision"] == "ieee"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        settings = circumstances(CPU)["settings"]
    finally:
        monkeypatch.undo()
        make_deterministic()
    assert settings["fp32_precision"] == "tf32"
    assert settings["OMP_NUM_THREADS"] == "7"


def test_tables_under_two_values_of_a_variable_have_two_makers():
    def made(**settings: str) -> Finish:
        return Finish(device="x", settings={"threads": "1", **settings})

    plain, other = made(), made(MKL_CBWR='"AVX2"')
    assert makers([plain, other, other]) == [('x, MKL_CBWR "AVX2"', 2), ("x", 1)]
    assert makers([other, other]) == [("x", 2)]
    assert makers([plain, Finish(device="x")]) == [("x", 2)]


def test_verify_names_a_variable_whichever_side_has_it():
    then, now = {"threads": "1"}, {"threads": "1", "MKL_CBWR": '"AVX2"', "new": "1"}
    told = "\n".join(
        line
        for pair in ((then, now), (now, then), ({}, now))
        for line in verdict_lines(
            Verdict(path=Path("t"), id="t", half_epochs=1, changes=changes(*pair))
        )
    )
    assert told.count("MKL_CBWR was not recorded and is") == 1
    assert told.count('MKL_CBWR was "AVX2" and is none') == 1
    assert "new was not recorded" not in told


# --- What is told -------------------------------------------------------------------------------


def test_what_trainers_do_not_get_is_told_once_for_all_ranks():
    same = {rank: place(rank, overruled="MKL_X=1, OMP_NUM_THREADS=8") for rank in range(3)}
    counts = dict.fromkeys(same, 1)
    [warning] = warnings(same, counts, "cpu")
    assert warning.startswith("trainers do not get these variables")
    assert warning.endswith(": MKL_X=1, OMP_NUM_THREADS=8")
    same[1]["overruled"] = ""
    [warning] = warnings(same, counts, "cpu")
    assert "trainers on rank 0 (n0), rank 2 (n2) do not get" in warning


def test_ranks_under_different_values_are_refused():
    both = {
        rank: place(rank, devices=[facts(0, variables={"cpu": f"MKL_CBWR={value}", "cuda": ""})])
        for rank, value in enumerate(("AVX2", "AUTO"))
    }
    with pytest.raises(DeviceError, match=r"MKL_CBWR=AVX2 on rank 0 .*; MKL_CBWR=AUTO on rank 1"):
        check_ranks(both, "cpu")


def test_verify_says_what_its_trainers_do_not_get(alone, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    told: list[str] = []
    monkeypatch.setattr(TrainingProcess, "__init__", lambda *_: pytest.fail("not needed"))
    with pytest.raises(pytest.fail.Exception):
        verify(first_table(alone[1]), tell=told.append)
    assert told == [
        "note: trainers do not get these variables, which change tables: "
        "NVIDIA_TF32_OVERRIDE=1, OMP_NUM_THREADS=8"
    ]


# --- Real trainings -----------------------------------------------------------------------------


def first_table(results: Path) -> Path:
    return results / next(iter(tables(results)))


def test_a_table_of_other_values_differs_and_verify_names_each_variable(alone, monkeypatch):
    for name, value in CHANGING.items():
        monkeypatch.setenv(name, value)
    [verdict] = verify(first_table(alone[1]), half_epochs=1)
    assert not verdict.rows or CHANGING.keys() <= {change.name for change in verdict.changes}


def conversation(campaign: nnlc.Campaign, folder: Path) -> Iterator[messages.Message]:
    """Train a network on in a real trainer; messages as they come, until it is told to save."""
    network = next(iter(campaign.networks()))
    link = TrainerLink(0, 0)
    os.set_blocking(link.fileno(), True)
    places = {"images": str(folder), "checkpoints": str(folder / "checkpoints")}
    settings = {"campaign": campaign.model_dump(mode="json"), "device": "cpu"}
    link.send({"kind": "configure", **settings, **places})
    spec, images = network.spec.to_json(), asdict(network.images)
    link.send({"kind": "train", "index": 0, "spec": spec, "image_set": images})
    limit = Limit()
    while (lines := link.receive()) is not None:
        assert not limit.over
        for message in messages.decode_all(lines):
            yield message
            if message["kind"] == "row" and link.network is None:
                link.network = 0
                link.send({"kind": "save"})
    link.wait(HANG_SECONDS)


def test_a_checkpoint_goes_on_under_the_same_bits_alone(tmp_path, monkeypatch):
    """The same network under nothing, other values, and those again with harmless variables."""
    for name in {**CHANGING, **HARMLESS}:
        monkeypatch.delenv(name, raising=False)
    campaign = load_campaign(write_campaign(tmp_path, TINY.replace("epochs = 1", "epochs = 900")))

    def kinds() -> set[str]:
        said = {message["kind"] for message in conversation(campaign, tmp_path)}
        assert "saved" in said
        return said & {"resumed", "aside"}

    assert kinds() == set()
    for name in ("MKL_CBWR", "ONEDNN_MAX_CPU_ISA"):
        monkeypatch.setenv(name, CHANGING[name])
    assert kinds() == {"aside"}
    for name, value in HARMLESS.items():
        monkeypatch.setenv(name, value)
    assert kinds() == {"aside", "resumed"}
