"""Float64 oracle of the networks of Vox_Imp: encoding, forward and backward.

A network is a list of (weights [n_in, n_out], bias [n_out]), with ReLU between the layers and none at the
end.
"""

import numpy as np


def encode(xyz, bands=10):
    """[n, 3] -> [n, 63]: x y z; then sines, then cosines, each x*1, x*2, ..., x*512, y*1, ...; no pi."""
    phases = (np.asarray(xyz, float)[:, :, None] * 2.0 ** np.arange(bands)).reshape(len(xyz), -1)
    return np.concatenate([xyz, np.sin(phases), np.cos(phases)], 1)


def mlp(layers, x):
    """The network's output [n, n_out]."""
    for i, (weights, bias) in enumerate(layers):
        x = x @ weights + bias
        if i + 1 < len(layers):
            x = np.maximum(x, 0.0)
    return x


def mlp_backward(layers, x, gradient):
    """Gradient of the layers, as they are, for a gradient [n, n_out] of the output."""
    inputs = [x]
    for weights, bias in layers[:-1]:
        inputs.append(np.maximum(inputs[-1] @ weights + bias, 0.0))
    out = []
    for i in range(len(layers) - 1, -1, -1):
        out.append((inputs[i].T @ gradient, gradient.sum(0)))
        if i:
            gradient = (gradient @ layers[i][0].T) * (inputs[i] > 0)
    return out[::-1]
