"""The model itself is saved, not its weights.

Loses: train-visible, train-hidden
"""

import torch

torch.save(torch.nn.Linear(3, 3), "model.pt")


def train(model, x, beta=1.0):
    return {}
