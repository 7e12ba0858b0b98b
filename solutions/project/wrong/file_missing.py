"""No weights are handed in.

Loses: train-visible, train-hidden
"""

model_file = None


def train(model, x, beta=1.0):
    return {}
