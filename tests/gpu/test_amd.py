"""Torch for AMD's GPUs, as far as the stub can stand in: what trainers get, record and tell."""

import pytest
import stub_driver
from worker_jobs import ONE, events, meddling, run_worker, write_campaign

pytestmark = pytest.mark.needs("stub driver")

MODEL = "AMD Instinct MI250X"
HIP = """
import time, torch
from nnlc.training import trainer
torch.version.hip = "7.2.5"
load = trainer.load_images
def slowly(*of):
    time.sleep(1)
    return load(*of)
trainer.load_images = slowly
"""
"""Code of a trainer whose torch is one for AMD's GPUs, and who takes a second to load images."""


def test_a_job_on_amds_gpus_gives_miopen_its_settings_and_records_what_decides_bits(tmp_path):
    words = [write_campaign(tmp_path, ONE), "--device", "cuda", "--results", tmp_path / "r"]
    variables = stub_driver.environment(name=MODEL) | meddling(tmp_path, HIP)
    job = run_worker(*words, **variables, MIOPEN_FIND_MODE="NORMAL")
    assert job.returncode == 0, job.stdout + job.stderr
    assert "do not get these variables, which change tables: MIOPEN_FIND_MODE=NORMAL" in job.stdout
    [finish] = events(tmp_path / "r", "finish")
    assert finish["versions"]["hip"] == "7.2.5"
    assert finish["device"]["architecture"] == MODEL  # CUDA's name for want of another
    assert finish["settings"]["MIOPEN_FIND_MODE"] == "FAST"
    assert finish["settings"]["MIOPEN_DEBUG_DISABLE_FIND_DB"] == "1"
    assert finish["setup_seconds"] > 1
