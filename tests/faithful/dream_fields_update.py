"""Schedules, Adam and the moving origin of Dream Fields' released code in float64; steps count from 0."""

import math

import numpy as np
from faithful.dream_fields_scene import FOCAL_MULT_TRAIN, RADIUS

LR0, LR1, LR_RAMP = 1e-5, 1e-4, 1500
ADAM_B1, ADAM_B2, ADAM_EPS = 0.9, 0.999, 1e-5
OPACITY0, OPACITY1, OPACITY_STEPS = 0.5, 0.1, 500
ORIGIN_DECAY = 0.999


def anneal_exponentially(step, steps, v0, v1):
    """v0 * (v1 / v0)^min(step / steps, 1)."""
    t = min(step / steps, 1.0)
    return math.exp(math.log(v0) * (1 - t) + math.log(v1) * t)


def learning_rate(step):
    """Rate at `step` (0-based): 1e-5 * 10^(step / 1500) below 1500, then 1e-4."""
    return anneal_exponentially(step, LR_RAMP, LR0, LR1) if step < LR_RAMP else LR1


def opacity_target(step, focal_mult=FOCAL_MULT_TRAIN, radius=RADIUS):
    """min(1, annealed(0.5 -> 0.1 in 500 steps) * focal_mult^2 / (radius / 4)^2 / 1.2):
    0.6 at step 0 and 0.12 from step 500 with the released cameras."""
    a = anneal_exponentially(step, OPACITY_STEPS, OPACITY0, OPACITY1)
    return min(1.0, a * focal_mult**2 / (radius / 4) ** 2 / 1.2)


def adam_init(params):
    """Fresh Adam state: dict m, v (zeros like params), count 0."""
    return {
        "m": {k: np.zeros_like(v) for k, v in params.items()},
        "v": {k: np.zeros_like(v) for k, v in params.items()},
        "count": 0,
    }


def adam_update(params, grads, state, lr):
    """flax.optim.Adam: b1 0.9, b2 0.999, both moments bias-corrected, eps 1e-5 outside
    the corrected root: p - lr * mhat / (sqrt(vhat) + eps).  No weight decay, no
    clipping.  Returns new params, new state."""
    t = state["count"] + 1
    m = {k: ADAM_B1 * state["m"][k] + (1 - ADAM_B1) * g for k, g in grads.items()}
    v = {k: ADAM_B2 * state["v"][k] + (1 - ADAM_B2) * g * g for k, g in grads.items()}

    def step(k):
        return lr * (m[k] / (1 - ADAM_B1**t)) / (np.sqrt(v[k] / (1 - ADAM_B2**t)) + ADAM_EPS)

    return {k: params[k] - step(k) for k in params}, {"m": m, "v": v, "count": t}


def accept(losses, params, state):
    """Whether the update counts: all logged losses (see step_losses, grad_norm too)
    and all new parameters and Adam moments finite.  If not, parameters, moments and
    Adam's count stay, the scene origin is not updated either; the step number (rate,
    targets) goes on."""
    values = (losses, params, state["m"], state["v"])
    return all(bool(np.all(np.isfinite(x))) for each in values for x in each.values())


def origin_update(origin, centre, decay=ORIGIN_DECAY):
    """decay * origin + (1 - decay) * centre, starting from 0, not debiased.  Updated
    only after an accepted step, and skipped if the centre is not finite.  The render
    ADDS origin to ray origins.  In the release training renders keep the value at
    compilation: 0, or the checkpoint's on a restart."""
    c = np.asarray(centre)
    return decay * np.asarray(origin) + (1 - decay) * c if np.all(np.isfinite(c)) else np.asarray(origin)


def train_step(params, state, grads, losses, step):
    """Given the gradients of losses['loss'] (dict like params): add grad_norm (global
    l2) to the losses, update at learning_rate(step), keep the old values unless
    `accept`.  Returns params, state, losses, accepted."""
    norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
    losses = {**losses, "grad_norm": norm}
    p, s = adam_update(params, grads, state, learning_rate(step))
    ok = accept(losses, p, s)
    return (p, s, losses, True) if ok else (params, state, losses, False)
