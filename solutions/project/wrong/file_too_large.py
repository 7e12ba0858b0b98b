"""The file has 20 MB and one byte.

Loses: train-visible, train-hidden
"""

with open("model.pt", "wb") as file:
    file.truncate(20_000_001)


def train(model, x, beta=1.0):
    return {}
