"""Float64 oracle of the released optimiser. Steps count from 1."""

import math

import numpy as np

RESCALINGS = (5000, 7000, 9000, 11000)


def adam_step(param, grad, m, v, t, rate, b1=0.9, b2=0.99, eps=1e-8, masked=True, eps_inside=True):
    """(param, m, v) after update number t: 1, 2, ... since the optimiser was made, per tensor.

    step = rate * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps): eps is added to the *uncorrected* root
    (`eps_inside`), else to the corrected one. Where `masked` (grids), entries whose gradient is exactly
    zero keep value and moments.
    """
    param, grad = np.asarray(param, float), np.asarray(grad, float)
    m2, v2 = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad * grad
    c1, c2 = 1 - b1**t, math.sqrt(1 - b2**t)
    if eps_inside:
        step = rate * c2 / c1 * m2 / (np.sqrt(v2) + eps)
    else:
        step = rate / c1 * m2 / (np.sqrt(v2) / c2 + eps)
    if not masked:
        return param - step, m2, v2
    on = grad != 0.0
    return np.where(on, param - step, param), np.where(on, m2, m), np.where(on, v2, v)


def learning_rate(step, base, rescale_steps=RESCALINGS, period=20000):
    """Rate of the update in `step`: a rescaling makes a new optimiser, at the full rate again."""
    last = max([s for s in rescale_steps if s <= step], default=1)
    return base * 0.1 ** ((step - last) / period)


def adam_count(step, rescale_steps=RESCALINGS):
    """Number of the update in `step`: 1 at the start, and again where a step begins with a rescaling."""
    return step - max([s for s in rescale_steps if s <= step], default=1) + 1
