"""A weight that claims to be larger than the file.

Loses: train-visible, train-hidden
"""

import torch

weights = {"w": torch.zeros(1).expand(10**9)}
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
