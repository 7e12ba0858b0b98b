"""Bytes in the middle of the file are zero, the end is there.

Loses: train-visible, train-hidden
"""

from pathlib import Path

import torch

weights = build_model().state_dict()
torch.save({"data": "digits", "weights": weights}, "model.pt")
whole = Path("model.pt").read_bytes()
Path("model.pt").write_bytes(bytes(2000) + whole[2000:])


def train(model, x, beta=1.0):
    return {}
