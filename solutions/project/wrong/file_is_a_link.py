"""The file is a link to weights elsewhere.

Loses: train-visible, train-hidden
"""

from pathlib import Path

import torch

weights = build_model().state_dict()
torch.save({"data": "digits", "weights": weights}, "elsewhere.pt")
Path("model.pt").symlink_to("elsewhere.pt")


def train(model, x, beta=1.0):
    return {}
