"""A small file that unpacks to 40 MB.

Loses: train-visible, train-hidden
"""

import zipfile

import torch

torch.save({"data": "digits", "weights": {"w": torch.zeros(10_000_000)}}, "big.pt")
with zipfile.ZipFile("big.pt") as big, zipfile.ZipFile("model.pt", "w", zipfile.ZIP_DEFLATED) as small:
    for part in big.namelist():
        small.writestr(part, big.read(part))


def train(model, x, beta=1.0):
    return {}
