"""The second half of the file is lost.

Loses: train-visible, train-hidden
"""

from pathlib import Path

import torch

weights = build_model().state_dict()
torch.save({"data": "digits", "weights": weights}, "model.pt")
whole = Path("model.pt").read_bytes()
Path("model.pt").write_bytes(whole[: len(whole) // 2])


def train(model, x, beta=1.0):
    return {}
