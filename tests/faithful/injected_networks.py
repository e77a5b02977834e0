"""Parameters of our Vox_Imp in the oracle's order, and back."""

import numpy as np

_BANDS = 10


def _order():
    """Where feature i of the oracle's encoding lies in ours: axis by axis there, octave by octave here."""
    octave = np.arange(_BANDS)
    waves = [[3 + 6 * octave + part + axis for axis in range(3)] for part in (0, 3)]
    return np.concatenate([[0, 1, 2], *waves[0], *waves[1]])


def to_layers(network):
    """{"Dense_0": {"kernel", "bias"}, ...} as a list of (weights, bias) in float64."""
    layers = [
        (
            np.asarray(network[f"Dense_{i}"]["kernel"], np.float64),
            np.asarray(network[f"Dense_{i}"]["bias"], np.float64),
        )
        for i in range(len(network))
    ]
    return [(layers[0][0][_order()], layers[0][1]), *layers[1:]]


def from_layers(layers):
    """A list of (weights, bias), or of their gradients, in our order."""
    first = np.zeros_like(layers[0][0])
    first[_order()] = layers[0][0]
    ordered = [(first, layers[0][1]), *layers[1:]]
    return {f"Dense_{i}": {"kernel": weights, "bias": bias} for i, (weights, bias) in enumerate(ordered)}
