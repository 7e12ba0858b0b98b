"""The weights were rounded to half precision.

Loses: train-visible, train-hidden
"""

import torch

weights = build_model().state_dict()
weights = {name: w.half() for name, w in weights.items()}
torch.save({"data": "digits", "weights": weights}, "model.pt")


def train(model, x, beta=1.0):
    return {}
