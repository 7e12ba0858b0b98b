"""Returns a model that was never trained.

Loses: train-model-visible, train-model-hidden
"""


def train_model(images, after_epoch=None):
    model = VAE(64, 128, 8)
    for _ in range(2):
        if after_epoch is not None:
            after_epoch(model)
    return model.eval()
