""" "Information is measured in bits".

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import math


def kl_standard_normal(mu, logvar):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    return kl / math.log(2)
