"""Training speed against its peers: same model, batch size, machine and run, epochs interleaved.

    make bench                   # the classic 784-400-20, ten epochs of each: about two minutes
    make bench NAME=conv         # seed 000's convolutional system
    make bench NAME=batchnorm    # seed 001's
    make bench NAME=quality      # -ELBO for core-seconds

Contestants take turns, epoch by epoch, so that a machine that slows down slows all of them down; medians are quoted.
JAX takes part where it is installed: pip install -r benchmarks/requirements.txt
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from importlib.util import find_spec

import torch
from peers import InMemory, Jax, Ours, Script
from torch import nn

from vaelab.data import PROJECT, Splits, mnist
from vaelab.evaluation import evaluate
from vaelab.models import batchnorm_vae, conv_vae, mean_image_bias_, mlp_vae
from vaelab.training import fit

# Multiplications and additions of one epoch of the classic model: three products for each weight, but for the first
# layer, whose input needs no gradient.
CLASSIC = 2 * 60_000 * (3 * (784 * 400 + 400 * 40 + 20 * 400 + 400 * 784) - 784 * 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="classic", choices=["classic", "conv", "batchnorm", "quality"])
    parser.add_argument("--epochs", type=int, help="epochs of each contestant (default 10; convolutions 3)")
    options = parser.parse_args()
    data = mnist(validation=0)
    if data.name != "MNIST":
        raise SystemExit("bench: the comparison needs MNIST; set VAELAB_DATA to a folder that holds it")
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}", flush=True)
    if options.what == "quality":
        quality(data)
        return
    with tempfile.TemporaryDirectory() as folder:
        contestants = classic(data, folder) if options.what == "classic" else convolutional(options.what, data, folder)
        seconds = race(contestants, options.epochs or (10 if options.what == "classic" else 3))
        report(contestants, seconds)
    if options.what == "classic":
        floor(seconds)


def classic(data: Splits, folder: str) -> dict[str, Script | Jax | Ours]:
    found = {
        "reference script": Script(str(PROJECT / os.environ.get("VAELAB_DATA", "data"))),
        "vaelab": Ours(mlp_vae, data, folder),
        "vaelab, bfloat16": Ours(mlp_vae, data, folder, bfloat16=True),
    }
    if find_spec("jax") and find_spec("optax"):
        found["JAX, float32"] = Jax(data)
    else:
        print("JAX is not installed and does not take part: pip install -r benchmarks/requirements.txt")
    return found


def convolutional(name: str, data: Splits, folder: str) -> dict[str, InMemory | Ours]:
    make = {"conv": conv_vae, "batchnorm": batchnorm_vae}[name]
    return {
        "plain loop in memory": InMemory(name, data),
        "vaelab": Ours(make, data, folder),
        "vaelab, bfloat16": Ours(make, data, folder, bfloat16=True),
    }


def race(contestants: dict, epochs: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for epoch in range(epochs):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.epoch())
        print(f"epoch {epoch + 1} of {epochs}", flush=True)
    return seconds


def report(contestants: dict, seconds: dict[str, list[float]]) -> None:
    first = next(iter(contestants))
    losses = {name: contestant.test_loss() for name, contestant in contestants.items()}
    print(f"\n{'':<22}{'s/epoch':>9}{'times as fast':>15}{'test -ELBO':>12}{'difference':>12}")
    for name, each in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], each, strict=True))
        print(
            f"{name:<22}{statistics.median(each):>9.2f}{ratio:>15.2f}{losses[name]:>12.2f}"
            f"{losses[name] - losses[first]:>+12.2f}"
        )


def floor(seconds: dict[str, list[float]]) -> None:
    """Print how near each contestant comes to doing nothing but its products, at the rate of one large product."""
    big = torch.rand(2048, 2048)
    rates = []
    for _ in range(10):
        start = time.perf_counter()
        torch.ops.mkldnn._linear_pointwise(big, big, None, "none", [], "")
        rates.append(2 * 2048**3 / (time.perf_counter() - start))
    least = CLASSIC / max(rates)
    print(f"\nfloor: {CLASSIC / 1e9:.0f} GFLOP an epoch at {max(rates) / 1e9:.0f} GFLOP/s of float32: {least:.2f} s")
    for name, each in seconds.items():
        print(f"{name:<22}{least / statistics.median(each):>9.0%} of the floor's speed")


def quality(data: Splits) -> None:
    """Print the test -ELBO that some core-seconds of training buy: 784-512-512-20 GELU, batch 256, 3e-3 cosine."""
    test = data.test.binarized(torch.Generator().manual_seed(0))
    for binarize, epochs, unseen in (("none", 10, data.test), ("afresh", 7, test)):
        torch.manual_seed(0)
        model = mean_image_bias_(mlp_vae(hidden_dims=(512, 512), activation=nn.GELU), data.train)
        start = time.process_time()
        options = {"epochs": epochs, "batch_size": 256, "lr": 3e-3, "schedule": "cosine", "bfloat16": True}
        history = fit(model, data.train, binarize=binarize, progress=False, **options)
        core_seconds = time.process_time() - start
        result = evaluate(model, unseen)
        print(
            f"binarize={binarize}, {epochs} epochs: {core_seconds:.1f} core-seconds "
            f"({sum(record['seconds'] for record in history):.1f} s), "
            f"test -ELBO {result['loss']:.2f} ± {result['standard_error']:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
