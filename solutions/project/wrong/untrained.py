"""The weights are those before training.

Loses: train-hidden
"""

import torch

weights = build_model().state_dict()
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
