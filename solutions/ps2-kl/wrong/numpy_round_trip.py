""" "NumPy has everything I need": the numbers are right and the gradient is gone.

Loses: kl-standard-normal-hidden
"""

import numpy as np
import torch


def kl_standard_normal(mu, logvar):
    m, v = mu.detach().numpy(), logvar.detach().numpy()
    kl = 0.5 * (m**2 + np.exp(v) - 1 - v).sum(axis=1)
    return torch.from_numpy(kl)
