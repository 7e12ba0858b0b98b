"""One weight is not a number.

Loses: train-visible, train-hidden
"""

import torch

weights = build_model().state_dict()
next(iter(weights.values())).view(-1)[0] = float("nan")
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
