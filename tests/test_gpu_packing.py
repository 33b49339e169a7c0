"""Which networks run side by side on a GPU, how many trainers a rank keeps, and what can't fit."""

import dataclasses
import random
import re
from collections import Counter, defaultdict

import pytest
from gatherer_jobs import HALF_EPOCHS, Job, facts, place
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_networks import paper

from nnlc.calibration.assumed_machine import assumed_machine
from nnlc.calibration.machines import FittedMachine, write_machines
from nnlc.errors import DeviceError, ExitStatus, SiteError
from nnlc.families.article.family import ARTICLE
from nnlc.families.article.memory import memory_bytes
from nnlc.launching.render import Request, render_script
from nnlc.networks.device_memory import image_bytes, library_bytes
from nnlc.networks.machine import CPU, GPU
from nnlc.networks.recipe import TrainingSection
from nnlc.ranks import gpu_packing
from nnlc.ranks.gpu_packing import (
    BUDGET,
    MOST_TRAINERS,
    GpuMemory,
    GpuNeed,
    pack_trainers,
    predict_need,
)
from nnlc.ranks.idle_slots import IdleSlots
from nnlc.results.retry import retry
from nnlc.schedulers.site import load_site
from nnlc.schedulers.site_values import Gpu

GB = 10**9
SETTINGS = TrainingSection()


def predicted(networks) -> dict[int, float]:
    return {
        n.index: ARTICLE.predict_seconds(n.spec, n.images, 1, GPU, SETTINGS, "cuda")
        for n in networks
    }


SMALL, LARGE = GpuNeed(GB // 100, launch_bound=True), GpuNeed(GB // 100, launch_bound=False)

pytestmark = pytest.mark.usefixtures("no_syncs")


def gpu(rank: int, trainers: int | None = None, *, mps: bool = True, **others) -> dict:
    """What a rank with a GPU of its own says, unless `device` and `host` say otherwise."""
    device = {"uuid": f"GPU-{rank}", "mps": mps, **others.pop("device", {})}
    return place(rank, 1, trainers, **{"devices": [facts(1, **device)], **others})


class GpuJob(Job):
    """A job on GPUs; what its networks need of one is given, not predicted."""

    def __init__(self, folder, hellos, needs, monkeypatch, **others):
        monkeypatch.setattr(gpu_packing, "predict_need", lambda n, *_: needs(n.index))
        super().__init__(folder, len(hellos), greet=False, **others)
        self.gpus = {r: gpu_packing.gpu_of_rank(r, hello) for r, hello in enumerate(hellos)}
        for rank, hello in enumerate(hellos):
            self.say(rank, kind="hello", **hello)
        self.kept = {r: m["trainers"] for r, m in self.sent if m["kind"] == "configure"}
        self.running: dict[int, tuple[int, int]] = {}
        for rank, count in self.kept.items():
            for trainer in range(count):
                self.idle(rank, trainer)
        self.checked()
        self.look()

    def look(self) -> None:
        """Take note of what was handed out."""
        for rank, message in self.sent:
            if message["kind"] == "train":
                self.running.setdefault(message["index"], (rank, message["trainer"]))
        self.sent = [entry for entry in self.sent if entry[1]["kind"] != "train"]

    def finish(self, index: int) -> None:
        """As fast as predicted."""
        rank, trainer = self.running.pop(index)
        for half_epoch in range(1, HALF_EPOCHS + 1):
            self.row(index, half_epoch, rank=rank, seconds=self.seconds[index] / HALF_EPOCHS)
        self.say(rank, kind="finished", trainer=trainer, index=index, seconds=1.0)
        self.idle(rank, trainer)
        self.look()

    def fail(self, index: int) -> None:
        """For want of memory, which says nothing of the rank."""
        rank, trainer = self.running.pop(index)
        super().fail(rank, index, "out of memory", trainer=trainer)
        self.look()

    @property
    def seconds(self) -> dict[int, float]:
        return predicted(self.networks)

    @property
    def on_gpu(self) -> dict[object, list[int]]:
        """By GPU, what runs there."""
        found = defaultdict(list)
        for index, (rank, _) in self.running.items():
            found[self.gpus[rank]].append(index)
        return found


def every(need: GpuNeed):
    return lambda _: need


def test_launch_bound_networks_share_a_gpu_and_each_other_one_has_it_alone(tmp_path, monkeypatch):
    job = GpuJob(tmp_path / "small", [gpu(0, 3)], every(SMALL), monkeypatch)
    assert len(job.running) == 3
    job = GpuJob(tmp_path / "large", [gpu(0, 3)], every(LARGE), monkeypatch)
    assert len(job.running) == 1
    job.finish(*job.running)
    assert len(job.running) == 1


def test_a_launch_bound_network_too_large_for_its_part_of_the_memory_runs_alone(
    tmp_path, monkeypatch
):
    job = Job(tmp_path)
    trainer_bytes = library_bytes("cuda") + image_bytes(job.networks[0].images)
    device_bytes = 20 * trainer_bytes
    part = int(BUDGET * device_bytes) // 2 - trainer_bytes
    hello = gpu(0, 2, device={"memory_bytes": device_bytes})
    for memory, together in ((part, 2), (part + 1, 1)):
        needs = every(GpuNeed(memory, launch_bound=True))
        job = GpuJob(tmp_path / str(together), [hello], needs, monkeypatch)
        assert len(job.running) == together


def test_ranks_that_share_a_gpu_count_together(tmp_path, monkeypatch):
    shared = [gpu(rank, 2, host="n0", device={"uuid": "GPU-0"}) for rank in range(2)]
    job = GpuJob(tmp_path / "small", shared, every(SMALL), monkeypatch)
    assert Counter(rank for rank, _ in job.running.values()) == {0: 2, 1: 2}
    job = GpuJob(tmp_path / "large", shared, every(LARGE), monkeypatch)
    assert len(job.running) == 1
    apart = [gpu(rank, 2, host="n0") for rank in range(2)]
    job = GpuJob(tmp_path / "apart", apart, every(LARGE), monkeypatch)
    assert sorted(rank for rank, _ in job.running.values()) == [0, 1]


def test_networks_are_spread_over_gpus_before_they_share_one(tmp_path, monkeypatch):
    job = GpuJob(tmp_path, [gpu(0, 4), gpu(1, 4)], every(SMALL), monkeypatch)
    assert len(job.running) == 6
    assert sorted(map(len, job.on_gpu.values())) == [3, 3]


NEEDS = st.lists(st.booleans(), min_size=6, max_size=6)


@settings(max_examples=15)
@given(
    small=NEEDS,
    hosts=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3),
    trainers=st.integers(1, 4),
    order=st.sampled_from(["longest", "shortest"]),
    seed=st.integers(0, 10**6),
)
def test_no_network_starves_no_gpu_idles_and_no_large_network_has_company(
    tmp_path_factory, small, hosts, trainers, order, seed
):
    """Ranks of one host share a GPU."""
    folder, rng = tmp_path_factory.mktemp("gpus"), random.Random(seed)
    hellos = [
        gpu(rank, trainers, host=host, device={"uuid": host, "memory_bytes": 80 * GB})
        for rank, host in enumerate(hosts)
    ]
    with pytest.MonkeyPatch.context() as patch:
        needs = [SMALL if it_is else LARGE for it_is in small]
        job = GpuJob(folder, hellos, needs.__getitem__, patch, order=order, run="attempts = 100")
        finished = []
        while job.running:
            for indices in job.on_gpu.values():
                assert len(indices) == 1 or all(small[i] for i in indices)
            waiting = 6 - len(finished) - len(job.running)
            assert not waiting or len(job.on_gpu) == len(set(hosts))
            index = rng.choice(sorted(job.running))
            if rng.random() < 0.2:
                if rng.random() < 0.5:
                    job.row(index, 1, rank=job.running[index][0], seconds=rng.random())
                job.fail(index)
            else:
                finished.append(index)
                job.finish(index)
    assert sorted(finished) == list(range(6))
    assert job.part() == ExitStatus.DONE


def order_of(tmp_path) -> list[int]:
    """The networks, longest first."""
    seconds = predicted(Job(tmp_path / "order").networks)
    return sorted(seconds, key=lambda index: -seconds[index])


def test_a_large_network_that_would_end_last_is_waited_for_by_gpus_that_are_shared(
    tmp_path, monkeypatch
):
    first, second, third, fourth, large, last = order_of(tmp_path)
    needs = {i: LARGE if i == large else SMALL for i in range(6)}
    hellos = [gpu(0, 2), gpu(1, 2)]
    job = GpuJob(tmp_path / "job", hellos, needs.__getitem__, monkeypatch)
    assert sorted(map(sorted, job.on_gpu.values())) == sorted(
        [sorted((first, third)), sorted((second, fourth))]
    )
    job.finish(first)
    assert set(job.running) == {second, third, fourth}  # `last` might begin, but not at its cost
    job.finish(third)
    assert set(job.running) == {second, fourth, large}
    job.finish(second)
    assert set(job.running) == {fourth, large, last}


def test_small_networks_pass_a_large_one_that_would_not_end_last(tmp_path, monkeypatch):
    first, second, large, *others = order_of(tmp_path)
    needs = {i: LARGE if i == large else SMALL for i in range(6)}
    job = GpuJob(tmp_path / "job", [gpu(0, 2)], needs.__getitem__, monkeypatch)
    for index in (first, second, others[0], others[1]):
        assert index in job.running
        job.finish(index)
    assert set(job.running) == {others[2]}
    job.finish(others[2])
    assert set(job.running) == {large}


def test_networks_that_fell_together_are_tried_again_alone_and_not_held_against_their_rank(
    tmp_path, monkeypatch
):
    """A fault of one process ends all that share its GPU: three bad ends in a row, for one."""
    job = GpuJob(tmp_path, [gpu(0, 3), gpu(1, 3)], every(SMALL), monkeypatch, run="attempts = 3")
    fallen = sorted(job.on_gpu[job.gpus[0]])
    fell_at = {index: job.running.pop(index) for index in fallen}
    for index, (rank, trainer) in fell_at.items():
        job.say(rank, kind="died", trainer=trainer, index=index, reason="its trainer left")
    for rank, trainer in fell_at.values():
        job.idle(rank, trainer)
    job.look()
    assert not job.events("retire")
    assert not job.progress.failures[0][2]
    while job.running:
        for indices in job.on_gpu.values():
            assert len(indices) == 1 or not {*indices} & {*fallen}
        job.finish(min(job.running))
    assert job.part() == ExitStatus.DONE


def test_a_network_that_no_gpu_can_hold_is_a_failure_with_its_reason_and_is_not_tried(
    tmp_path, monkeypatch
):
    sizes = {0: 16 * GB, 1: 16 * GB + 1}
    needs = lambda index: GpuNeed(sizes.get(index, 0), launch_bound=False)  # noqa: E731
    job = GpuJob(tmp_path, [gpu(0)], needs, monkeypatch)
    while job.running:
        assert 1 not in job.running
        job.finish(*job.running)
    assert job.part() == ExitStatus.DONE_WITH_FAILURES
    assert job.with_tables == {0, 2, 3, 4, 5}
    [(index, reason, final)] = job.progress.failures
    assert (index, final) == (1, True)
    assert "needs about 16.0 GB" in reason
    assert "'nnlc retry'" in reason
    history = job.history()
    assert history.failures == {job.id(1): reason}
    assert not history.attempts
    assert f"{job.id(1)} is no longer failed" in list(retry(job.results))
    larger = gpu(0, device={"memory_bytes": 40 * GB})
    again = GpuJob(tmp_path, [larger], needs, monkeypatch)
    assert set(again.running) == {1}


def test_a_job_with_trainers_that_do_not_fit_ends_before_it_begins(tmp_path, monkeypatch):
    hello = gpu(0, 9, device={"memory_bytes": 4 * GB})
    job = GpuJob(tmp_path, [hello], every(SMALL), monkeypatch)
    assert job.part() == ExitStatus.ERROR
    assert "error: 9 trainers do not fit on one GPU" in job.progress.messages[0]
    assert not job.running


def test_trainers_that_do_not_fit_are_refused_with_how_many_would():
    memory = GpuMemory(device_bytes=16 * GB, trainer_bytes=2 * GB, largest_bytes=8 * GB)
    with pytest.raises(DeviceError, match=r"9 trainers do not fit.*start at most 2"):
        pack_trainers({0: gpu(0, 9)}, memory, {})
    assert pack_trainers({0: gpu(0, 2)}, memory, {}).trainers == {0: 2}
    both = {r: gpu(r, 2, host="n0", device={"uuid": "x"}) for r in range(2)}
    with pytest.raises(DeviceError, match="4 trainers do not fit"):
        pack_trainers(both, memory, {})


BYTES = st.integers(1, 100 * GB)


@given(
    device=BYTES,
    trainer=BYTES,
    sizes=st.lists(st.tuples(BYTES, st.booleans()), max_size=20),
    ranks=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 64)), min_size=1, max_size=4),
)
def test_trainers_and_networks_of_a_gpu_always_stay_within_its_budget(
    device, trainer, sizes, ranks
):
    """However they come together: the idle, the small side by side, or one alone."""
    needs = {i: GpuNeed(size, launch_bound) for i, (size, launch_bound) in enumerate(sizes)}
    memory = GpuMemory(
        device_bytes=device,
        trainer_bytes=trainer,
        largest_bytes=max((size for size, _ in sizes), default=0),
    )
    hellos = {
        r: gpu(r, cores=cores, host="n0", node_cores=256, device={"uuid": uuid})
        for r, (uuid, cores) in enumerate(ranks)
    }
    try:
        packing = pack_trainers(hellos, memory, needs)
    except DeviceError:
        assert len(ranks) > memory.most_trainers
        return
    on_gpu = Counter()
    for rank, count in packing.trainers.items():
        assert 1 <= count <= max(1, min(ranks[rank][1], MOST_TRAINERS))
        on_gpu[packing.gpu_of((rank, 0))] += count
    budget = BUDGET * device
    shared = sorted((needs[i].memory_bytes for i in packing.packable), reverse=True)
    for count in on_gpu.values():
        if count > 1:
            assert count * trainer + memory.largest_bytes <= budget
            assert count * trainer + sum(shared[:count]) <= budget
    assert all(needs[i].launch_bound for i in packing.packable)


def test_a_rank_keeps_one_trainer_unless_a_service_lets_several_share_its_gpu():
    memory = GpuMemory(device_bytes=40 * GB, trainer_bytes=GB, largest_bytes=GB)
    for hello, count in (
        (gpu(0), 8),
        (gpu(0, cores=7, node_cores=42), 7),
        (gpu(0, mps=False), 1),
        (gpu(0, 3, mps=False), 3),
        (gpu(0, 12), 12),
    ):
        assert pack_trainers({0: hello}, memory, {}).trainers == {0: count}
    small = GpuMemory(device_bytes=16 * GB, trainer_bytes=2 * GB, largest_bytes=GB)
    assert pack_trainers({0: gpu(0)}, small, {}).trainers == {0: 3}
    assert gpu_packing.pack_gpus(
        {0: place(0, trainers=None, devices=[facts(0)])}, "cpu", [], SETTINGS, CPU
    ).trainers == {0: 1}


def test_ranks_that_are_bound_to_no_cores_divide_those_of_their_node():
    free = {r: gpu(r, cores=8, node_cores=8, host="n0") for r in range(2)}
    assert gpu_packing.cores_of(free) == {0: 4, 1: 4}
    bound = {r: gpu(r, cores=7, node_cores=44, host="n0") for r in range(6)}
    assert gpu_packing.cores_of(bound) == dict.fromkeys(range(6), 7)
    many = {r: gpu(r, cores=2, node_cores=2, host="n0") for r in range(3)}
    assert gpu_packing.cores_of(many) == dict.fromkeys(range(3), 1)


def test_what_a_network_needs_is_its_memory_without_images_and_whether_its_steps_are_short(
    tmp_path,
):
    network = Job(tmp_path).networks[0]
    for filters, launch_bound in ((4, True), (4000, False)):
        wide = dataclasses.replace(network.spec, conv_filters=(filters,))
        need = predict_need(dataclasses.replace(network, spec=wide), SETTINGS, GPU)
        in_all = memory_bytes(wide, network.images, SETTINGS, "cuda")
        assert need.memory_bytes == in_all - library_bytes("cuda") - image_bytes(network.images)
        assert need.launch_bound == launch_bound


H200 = Gpu(model="NVIDIA H200 (SXM)", fp32_teraflops=67, memory_gigabytes=141)
AT_HAND = {"name": "NVIDIA H200", "memory_bytes": 141 * GB}


def shared_by(tmp_path, name: str, **others) -> tuple[str, Job]:
    """What a job with two trainers on an H200 says of the networks that share it, and the job."""
    job = Job(tmp_path / name, greet=False, **others)
    job.say(0, kind="hello", **gpu(0, 2, device=AT_HAND))
    [line] = [text for text in job.progress.messages if "may share a GPU" in text]
    return line, job


def test_which_networks_share_a_gpu_follows_from_the_speed_of_the_gpu_at_hand(tmp_path):
    networks = paper()[1][::40]
    shared = {
        name: {n.index for n in networks if predict_need(n, SETTINGS, machine).launch_bound}
        for name, machine in (("nominal", GPU), ("H200", assumed_machine(H200)))
    }
    assert shared["nominal"] < shared["H200"]
    assert len(shared["H200"]) > 2 * len(shared["nominal"])


def test_a_job_says_by_which_speed_networks_share_a_gpu_and_takes_the_measured_one_first(
    tmp_path, monkeypatch
):
    """A machine whose kernels take no time has no network that waits for their launches."""
    asked = []
    monkeypatch.setattr(
        gpu_packing, "predict_need", lambda n, _, m: asked.append(m) or predict_need(n, _, m)
    )
    line, _ = shared_by(tmp_path, "unknown")
    assert line.startswith("6 of 6 networks may share a GPU, by the speed of a V100")
    assert set(asked) == {GPU}
    other = H200.model_copy(update={"model": "NVIDIA A100"})
    assert "a V100" in shared_by(tmp_path, "other", site_gpu=other)[0]
    asked.clear()
    line, job = shared_by(tmp_path, "assumed", site_gpu=H200)
    assert line.endswith("by the speed that the site file assumes for NVIDIA H200 (SXM)")
    assert set(asked) == {assumed_machine(H200)}
    fast = dataclasses.replace(GPU, seconds_a_kernel=1e-12)
    facts = {"name": "NVIDIA H200", "device": "cuda", "networks": 12, "median_error": 0.1}
    write_machines(job.results, [FittedMachine.of(fast, **facts)])
    line, _ = shared_by(tmp_path, "assumed", site_gpu=H200)
    assert line.startswith("0 of 6 networks")
    assert line.endswith("by the speed of NVIDIA H200 that 'nnlc calibrate' has measured")


def test_a_script_gives_the_job_what_its_site_assumes_of_the_gpu():
    for name in ("summit", "frontier", "perlmutter"):
        site = load_site(name).model_copy(update={"account": "abc"})
        [option] = re.findall(r"--gpu '(.*)'", render_script(Request(campaign="smoke"), site))
        assert Gpu.from_option(option) == site.gpu
    for wrong in ("fast", "{}", '{"model": "x", "fp32_teraflops": -1, "memory_gigabytes": 1}'):
        with pytest.raises(SiteError, match=r"--gpu .*leave it out"):
            Gpu.from_option(wrong)


class Model:
    """IdleSlots, as one would write them without a thought of time."""

    def __init__(self):
        self.idle, self.running = [], {}

    def free(self, gpus):
        busy = {gpus[p] for p in self.running}
        return {gpus[p] for p in self.idle} - busy

    def beside(self, gpus):
        shared = defaultdict(list)
        for at, shares in self.running.items():
            shared[gpus[at]].append(shares)
        return {
            gpus[p]: len(shared[gpus[p]])
            for p in self.idle
            if all(shared[gpus[p]]) and shared[gpus[p]]
        }


@settings(max_examples=100)
@given(
    trainers=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    steps=st.lists(st.tuples(st.integers(0, 11), st.booleans()), max_size=60),
)
def test_idle_slots_offer_each_gpu_by_what_runs_there(trainers, steps):
    """Two ranks a GPU."""
    gpus = {(r, t): r // 2 for r, count in enumerate(trainers) for t in range(count)}
    slots, model = IdleSlots(gpus.__getitem__), Model()
    for number, flag in steps:
        at = sorted(gpus)[number % len(gpus)]
        if at in model.running:
            slots.end(at)
            del model.running[at]
        elif at not in model.idle:
            slots.add(at)
            model.idle.append(at)
        elif gpus[at] in model.free(gpus) or (flag and gpus[at] in model.beside(gpus)):
            slots.begin(at, packable=flag)
            model.idle.remove(at)
            model.running[at] = flag
        else:
            slots.remove(at)
            model.idle.remove(at)
        free, beside = list(slots.on_empty_gpus()), list(slots.on_packed_gpus())
        assert {gpus[p] for p in free} == model.free(gpus)
        loads = model.beside(gpus)
        assert {gpus[p] for p in beside} == set(loads)
        assert [loads[gpus[p]] for p in beside] == sorted(loads[gpus[p]] for p in beside)
        assert {*free, *beside} <= set(model.idle)
        assert len(slots) == len(model.idle)
        if flag and number == 0:
            slots.retire(0)
            model.idle = [p for p in model.idle if p[0] != 0]
