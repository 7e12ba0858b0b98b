"""The weights are those of another model.

Loses: train-visible, train-hidden
"""

import torch
from torch import nn

weights = nn.Linear(784, 20).state_dict()
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
