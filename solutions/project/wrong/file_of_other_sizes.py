"""One layer has another size.

Loses: train-visible, train-hidden
"""

import torch

weights = build_model().state_dict()
name = next(iter(weights))
weights[name] = weights[name][:-1].clone()
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
