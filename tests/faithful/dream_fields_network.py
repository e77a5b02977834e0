"""The field of Dream Fields' released code in float64: waves of Gaussians, and the network on them."""

import math

import numpy as np
from faithful.dream_fields_scene import HALF_WIDTH

EARLY, BLOCKS, BLOCK_HIDDEN, LATE = 128, 4, 256, 128
FEATURES = 2 * (3 + 128)
LN_EPS = 1e-6
IPE_DECAY_START, IPE_DECAY_STEPS = 1.0, 1000


def ipe_scale(step):
    """Factor sc on the IPE standard deviation at training step `step`:
    max(1, 2^(1 - step / 1000)): 2 at the start, 1 from step 1000 on.  (The release's
    comment calls this "disabled"; its arithmetic is not.)"""
    return max(1.0, 2.0 ** (IPE_DECAY_START * (1 - step / IPE_DECAY_STEPS)))


def ipe_features(mean, cov, basis, scale=1.0):
    """Integrated positional encoding, (..., 2 * 131 = 262): first all cosines, then
    all sines, each in basis order (axes first): exp(-scale^2 f^T cov f / 2) *
    cos / sin (f . mean).  No pi, no factor on the position; the raw mean is not
    appended.  Zero rows f give constants 1 and 0 and are kept."""
    f = np.asarray(basis, dtype=np.float64)
    phase = mean @ f.T
    var = ((cov @ f.T) * f.T).sum(-2)
    decay = np.exp(-0.5 * var * scale**2)
    return np.concatenate([decay * np.cos(phase), decay * np.sin(phase)], -1)


def sigmoid(x):
    """Logistic function, elementwise, overflow-free."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def softplus(x):
    """log(1 + e^x), elementwise."""
    return np.logaddexp(x, 0.0)


def swish(x):
    """x * sigmoid(x)."""
    return x * sigmoid(x)


def layer_norm(x, scale, bias):
    """Over the last axis, biased variance, eps 1e-6 inside the root, scale, bias."""
    c = x - x.mean(-1, keepdims=True)
    return c / np.sqrt((c**2).mean(-1, keepdims=True) + LN_EPS) * scale + bias


def layer_shapes(features=FEATURES):
    """Ordered dict name -> (in, out) of the dense layers."""
    s = {"early": (features, EARLY)}
    for k in range(BLOCKS):
        s[f"block{k}/a"] = (EARLY, BLOCK_HIDDEN)
        s[f"block{k}/b"] = (BLOCK_HIDDEN, EARLY)
    s["late"] = (EARLY, LATE)
    s["out"] = (LATE, 4)
    return s


def init_params(rng, features=FEATURES):
    """Parameters as flax's defaults draw them (distribution, not bits), from a NumPy
    Generator: kernels truncated normal (cut at 2 sd, rescaled) of variance 1 / fan_in,
    biases 0; LayerNorm scale 1, bias 0.  Dict: "name/kernel" (in, out),
    "name/bias" (out,), "blockK/norm/scale", "blockK/norm/bias" (128,)."""
    p = {}
    for name, (i, o) in layer_shapes(features).items():
        z = rng.standard_normal((i, o))
        while (np.abs(z) > 2).any():
            z = np.where(np.abs(z) > 2, rng.standard_normal((i, o)), z)
        p[name + "/kernel"] = z / math.sqrt(i) / 0.87962566103423978
        p[name + "/bias"] = np.zeros(o)
    for k in range(BLOCKS):
        p[f"block{k}/norm/scale"], p[f"block{k}/norm/bias"] = np.ones(EARLY), np.zeros(EARLY)
    return p


def network(params, x):
    """Raw outputs (..., 4) (rgb, density before activation) of features x (..., 262).
    Early dense 128 + swish; 4 x [h = x + dense128(swish(dense256(LN(x))))], no
    activation after the sum; late dense 128 + swish; dense 4.  All with bias, no
    dropout, no final LayerNorm, no view direction."""

    def dense(n, v):
        return v @ params[n + "/kernel"] + params[n + "/bias"]

    x = swish(dense("early", x))
    for k in range(BLOCKS):
        b = f"block{k}"
        h = layer_norm(x, params[b + "/norm/scale"], params[b + "/norm/bias"])
        x = x + dense(b + "/b", swish(dense(b + "/a", h)))
    return dense("out", swish(dense("late", x)))


def field(params, mean, cov, basis, scale=1.0, half_width=HALF_WIDTH):
    """rgb (..., 3) = sigmoid, sigma (...,) = softplus of the raw outputs; no shift and
    no noise on the density (released noise sd is 0).  sigma is multiplied by
    (max |mean| <= half_width), mean in shifted coordinates; rgb is not masked."""
    raw = network(params, ipe_features(mean, cov, basis, scale))
    inside = np.max(np.abs(mean), -1) <= half_width
    return sigmoid(raw[..., :3]), softplus(raw[..., 3]) * inside
