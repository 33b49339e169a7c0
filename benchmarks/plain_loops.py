"""Training loops written without nnlc, with PyTorch's own modules."""

import os
from collections.abc import Callable, Iterator

import torch
from step_times import BATCHES, Rates, random_images, time_steps
from torch import nn

from nnlc.campaign.campaign import CampaignNetwork
from nnlc.families.article import Walk, walk_network
from nnlc.training.loaded_images import Images

Batch = tuple[torch.Tensor, torch.Tensor]
"""Images and labels of a step."""


def resident(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Time a loop with PyTorch's own modules on images that are in the device's memory."""
    images = random_images(of)
    pixels = torch.from_numpy(images.train_images).to(device)
    labels = torch.from_numpy(images.train_labels).to(device)
    indices = torch.arange(len(labels), device=device).view(BATCHES, -1)

    def batch(number: int) -> Batch:
        chosen = pixels.index_select(0, indices[number]).to(torch.float32).div_(255)
        return chosen, labels.index_select(0, indices[number])

    return plain_training(of, batch, seconds, device)


def usual(of: CampaignNetwork, seconds: float, device: torch.device) -> Rates:
    """Time a loop with dataset, transforms and DataLoader, without the start of its workers."""
    from torchvision import transforms  # only this process needs it

    images = random_images(of)
    loader = torch.utils.data.DataLoader(
        published(of, images, transforms.ToTensor()),
        batch_size=of.spec.batch_size,
        sampler=Endless(len(images.train_labels)),
        num_workers=len(os.sched_getaffinity(0)),
        pin_memory=device.type == "cuda",
    )
    steps = iter(loader)
    next(steps)  # its workers have started

    def batch(_: int) -> Batch:
        chosen, labels = next(steps)
        return chosen.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    return plain_training(of, batch, seconds, device, item=True)


def published(
    of: CampaignNetwork, images: Images, transform: Callable
) -> torch.utils.data.Dataset[Batch]:
    """Return torchvision's dataset of a network's images, with other pixels and without files."""
    from torchvision import datasets

    known = {"CIFAR-10": datasets.CIFAR10, "CIFAR-100": datasets.CIFAR100, "SVHN": datasets.SVHN}
    kind = known.get(of.images.name, datasets.FashionMNIST)
    dataset = kind.__new__(kind)  # real __getitem__
    dataset.transform, dataset.target_transform = transform, None
    pixels = images.train_images
    if kind is datasets.SVHN:
        dataset.data, dataset.labels = pixels, images.train_labels
    elif kind is datasets.FashionMNIST:
        dataset.data = torch.from_numpy(pixels[:, 0])
        dataset.targets = torch.from_numpy(images.train_labels)
    else:
        dataset.data, dataset.targets = pixels.transpose(0, 2, 3, 1), images.train_labels.tolist()
    return dataset


class Endless(torch.utils.data.Sampler[int]):
    """Sampler of endless random permutations of all images."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.randperm(self._count).tolist()


def plain_training(
    of: CampaignNetwork,
    batch: Callable[[int], Batch],
    seconds: float,
    device: torch.device,
    *,
    item: bool = False,
) -> Rates:
    """Time training and validation steps as commonly written, on batches by number."""
    model = plain_network(walk_network(of.spec, of.images)).to(device)
    spec, criterion = of.spec, nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=spec.learning_rate,
        momentum=spec.momentum,
        dampening=spec.dampening,
        weight_decay=spec.weight_decay,
    )
    total = 0.0

    def train(number: int) -> None:
        nonlocal total
        pixels, labels = batch(number)
        optimizer.zero_grad()
        loss = criterion(model(pixels), labels)
        loss.backward()
        optimizer.step()
        if item:
            total += loss.item()

    @torch.no_grad()
    def validate(number: int) -> None:
        nonlocal total
        pixels, labels = batch(number)
        scores = model(pixels)
        loss, right = criterion(scores, labels), (scores.argmax(1) == labels).sum()
        if item:
            total += loss.item() + right.item()

    model.train()
    training = time_steps(train, seconds, device)
    model.eval()
    return Rates(training.step, time_steps(validate, seconds / 4, device).step)


def plain_network(walk: Walk) -> nn.Sequential:
    """Return the network of PyTorch's own modules."""

    def module(layer) -> nn.Module:
        match layer.kind:
            case "convolution":
                sizes = layer.input[0], layer.output[0], layer.kernel, layer.stride, layer.padding
                return nn.Conv2d(*sizes)
            case "relu":
                return nn.ReLU()
            case "dropout":
                return nn.Dropout(layer.rate)
            case "pooling":
                return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)
            case "flatten":
                return nn.Flatten()
            case _:
                return nn.Linear(layer.input[0], layer.output[0])

    return nn.Sequential(*map(module, walk.layers))
