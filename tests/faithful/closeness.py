"""How far our numbers may be from those of an oracle."""

import numpy as np


def assert_close(got, expected, rtol=1e-5):
    """Every entry within `rtol` of the largest entry of what is expected; the same shape."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * np.abs(expected).max())
