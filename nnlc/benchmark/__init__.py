"""Tabular benchmark: a search method looks up a network's curve instead of training the network.

Example: successive halving among 27 networks, against random search with the same number of epochs,
which trains each network to the end:

    import nnlc

    bench = nnlc.Benchmark("results/paper")
    images = "CIFAR-100"

    def accuracy(id, epoch):
        value = bench.query(id, epoch).val_accuracy_percent
        return value if value == value else 0.0  # blank in some published tables

    alive, spent, before = bench.sample(27, 1, dataset=images), 0.0, 0.0
    for epoch in (1, 3, 9, 27):
        spent += len(alive) * (epoch - before)  # each network continues from `before`
        alive.sort(key=lambda id: accuracy(id, epoch), reverse=True)
        alive, before = alive[: max(1, len(alive) // 3)], epoch
    halving = accuracy(alive[0], 27)

    rivals = bench.sample(int(spent // 27), 2, dataset=images)
    random_search = max(accuracy(id, 27) for id in rivals)

    best = bench.best(dataset=images, epoch=27).val_accuracy_percent
    print(f"{spent:g} epochs: {best - halving:.1f} and {best - random_search:.1f} below the best")

Successive halving spends 27 × 1 + 9 × 2 + 3 × 6 + 1 × 18 = 81 epochs, as many as three networks
trained to the end. The epochs of dropped networks count.
"""

from nnlc.benchmark.benchmark import Benchmark, Observation

__all__ = ["Benchmark", "Observation"]
