"""A bare state_dict.

Loses: train-visible, train-hidden
"""

import torch

torch.save(build_model().state_dict(), "model.pt")


def train(model, x, beta=1.0):
    return {}
