"""Float64 oracle of the released terms of the loss and of their gradients. Steps count from 1."""

import math

import numpy as np
from faithful.pure_clip_grid import alpha_gradient, alpha_of
from faithful.pure_clip_scene import vertices

CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
CLIP_SD = np.array([0.26862954, 0.26130258, 0.27577711])


def clip_normalise(image):
    """(image - mean) / sd per channel, not clipped."""
    return (image - CLIP_MEAN) / CLIP_SD


def embed_linear(images, matrix):
    """Stand-in for CLIP: images [n, h, w, 3], flattened, times matrix [h * w * 3, e], to unit length."""
    e = images.reshape(len(images), -1) @ matrix
    return e / np.linalg.norm(e, axis=1, keepdims=True)


def clip_loss(images, matrix, text):
    """Minus the mean cosine (the release adds a constant 1); text [e] of any length."""
    return -float((embed_linear(images, matrix) @ (text / np.linalg.norm(text))).mean())


def clip_loss_gradient(images, matrix, text):
    """Gradient [n, h, w, 3] of `clip_loss` with respect to the images."""
    t = text / np.linalg.norm(text)
    e = images.reshape(len(images), -1) @ matrix
    n = np.linalg.norm(e, axis=1, keepdims=True)
    u = e / n
    return (-(t - (u @ t)[:, None] * u) / n / len(images) @ matrix.T).reshape(images.shape)


def opacity_target(step, steps=500, start=0.5, end=0.1, offset=1):
    """Geometric from 0.5 to 0.1; the release counts one step further than it has made (offset 1)."""
    t = min((step + offset) / steps, 1.0)
    return math.exp(math.log(start) * (1 - t) + math.log(end) * t)


def transmittance_loss(trans, step, **annealing):
    """-min(mean T, tau), tau = 1 - target of the opacity."""
    return -min(float(np.mean(trans)), 1.0 - opacity_target(step, **annealing))


def transmittance_gradient(trans, step, **annealing):
    """d transmittance_loss / d T: nothing once the mean is above tau."""
    below = float(np.mean(trans)) < 1.0 - opacity_target(step, **annealing)
    return np.full(trans.shape, -1.0 / trans.size if below else 0.0)


def entropy_loss(trans, eps=1e-6):
    """Mean of -(T log T + (1 - T) log(1 - T)), T clamped to [eps, 1 - eps]."""
    t = np.clip(trans, eps, 1 - eps)
    return float(-(t * np.log(t) + (1 - t) * np.log1p(-t)).mean())


def entropy_gradient(trans, eps=1e-6):
    """d entropy_loss / d T; nothing where T is clamped."""
    t = np.clip(trans, eps, 1 - eps)
    inside = (trans >= eps) & (trans <= 1 - eps)
    return np.where(inside, np.log1p(-t) - np.log(t), 0.0) / np.size(trans)


def sphere_prior(box, shape):
    """[X, Y, Z]: 1 where a vertex is within distance 1 of the origin, else 0."""
    return (np.sqrt((vertices(box, shape) ** 2).sum(-1)) <= 1.0).astype(float)


def kl_loss(raw, prior, ratio, shift=None):
    """Mean over *all* vertices of P log(P / (alpha + 1e-4) + 1e-4), alpha at interval = ratio."""
    a = alpha_of(raw, ratio, shift)
    return float((prior * np.log(prior / (a + 1e-4) + 1e-4)).mean())


def kl_gradient(raw, prior, ratio, shift=None):
    """d kl_loss / d raw [X, Y, Z]: exactly zero outside of the sphere."""
    q = alpha_of(raw, ratio, shift) + 1e-4
    return prior * (-prior / q**2) / (prior / q + 1e-4) * alpha_gradient(raw, ratio, shift) / raw.size


def tv_explicit_gradient(raw, grad, weight, n_rays, dense=False):
    """`grad` plus the gradient of the total variation of an explicit grid [X, Y, Z] or [X, Y, Z, 3].

    Every entry (each colour channel for itself) whose `grad` is not zero gets k * the sum over its up to
    six neighbours of clip(value - neighbour, -1, 1), k = weight / rays * longest side / 128 / 6. This is
    done after the backward pass, and not averaged over the vertices.
    """
    raw, grad = np.asarray(raw, float), np.asarray(grad, float)
    k = weight / n_rays * max(raw.shape[:3]) / 128.0 / 6.0
    out = grad.copy()
    for index in np.ndindex(*raw.shape):
        if not dense and grad[index] == 0.0:
            continue
        total = 0.0
        for axis in range(3):
            for side in (-1, 1):
                q = list(index)
                q[axis] += side
                if 0 <= q[axis] < raw.shape[axis]:
                    total += min(max(raw[index] - raw[tuple(q)], -1.0), 1.0)
        out[index] += k * total
    return out


def tv_explicit_value(raw, weight, n_rays):
    """The number whose dense gradient `tv_explicit_gradient` adds: k * Huber (delta 1), summed over edges."""
    k = weight / n_rays * max(raw.shape[:3]) / 128.0 / 6.0
    total = 0.0
    for axis in range(3):
        d = np.abs(np.diff(raw, axis=axis))
        total += np.where(d < 1, 0.5 * d * d, d - 0.5).sum()
    return k * total


def tv_mean(values):
    """Mean over the three axes of the mean absolute difference along each."""
    return sum(float(np.abs(np.diff(values, axis=axis)).mean()) for axis in range(3)) / 3.0


def tv_mean_gradient(values):
    """d tv_mean / d values."""
    out = np.zeros(values.shape)
    for axis in range(3):
        sign = np.sign(np.diff(values, axis=axis))
        sign /= 3.0 * sign.size
        padding = [(0, 0)] * values.ndim
        padding[axis] = (1, 1)
        padded = np.pad(sign, padding)
        out -= np.diff(padded, axis=axis)
    return out


def tv_implicit_loss(density_raw, colour_raw, weight=0.2, shift=None):
    """Weighted total variation of an implicit grid: alpha at interval 1, and colour, at *all* vertices."""
    colour = 1.0 / (1.0 + np.exp(-colour_raw))
    return weight * (tv_mean(alpha_of(density_raw, 1.0, shift)) + tv_mean(colour))


def tv_implicit_gradient(density_raw, colour_raw, weight=0.2, shift=None):
    """(d / d density_raw, d / d colour_raw) of `tv_implicit_loss`."""
    colour = 1.0 / (1.0 + np.exp(-colour_raw))
    g_density = tv_mean_gradient(alpha_of(density_raw, 1.0, shift)) * alpha_gradient(density_raw, 1.0, shift)
    return weight * g_density, weight * tv_mean_gradient(colour) * colour * (1 - colour)


def active_terms(step, kind="explicit", preset="paper"):
    """Weight of each term in `step`: the sphere prior to its last step inclusive, variation in between."""
    tv, kl = ((5000, 13000), 8000) if preset == "paper" else ((4000, 9000), 7000)
    w_tv, w_kl = (0.1, 0.05) if kind == "explicit" else (0.2, 0.2)
    return {
        "clip": 1.0,
        "transmittance": 0.5,
        "entropy": 0.01,
        "kl": w_kl if step <= kl else 0.0,
        "tv": w_tv if tv[0] < step < tv[1] else 0.0,
        "clip2": 0.5 if step >= 5000 else 0.0,
    }
