"""The file runs code when it is unpickled without care.

Loses: train-visible, train-hidden
"""

import torch


class Trap:
    def __reduce__(self):
        return print, ("the trap has sprung",)


torch.save({"data": "digits", "weights": Trap()}, "model.pt")


def train(model, x, beta=1.0):
    return {}
