"""The directions of the released encoding, from the generator of random numbers upwards, in NumPy.

The generator is Threefry-2x32 as the jax of 2021 used it; see `random_bits` for the later one.
"""

import math

import numpy as np
from scipy.special import erfinv

SEED, DIRECTIONS, MAX_EXPONENT = 124124, 128, 8


def threefry2x32(key, x0, x1):
    """Threefry-2x32, 20 rounds.  key: pair of uint32; x0, x1: (n,) uint32 counters.
    Returns two (n,) uint32 arrays.  (The generator behind jax.random.PRNGKey.)"""
    m = np.uint64(0xFFFFFFFF)

    def u(v):
        return np.asarray(v, dtype=np.uint64) & m

    k0, k1 = u(key[0]), u(key[1])
    ks = (k0, k1, k0 ^ k1 ^ u(0x1BD11BDA))
    a, b = (u(x0) + ks[0]) & m, (u(x1) + ks[1]) & m
    rot = ((13, 15, 26, 6), (17, 29, 16, 24))
    for i in range(5):
        for r in rot[i % 2]:
            a = (a + b) & m
            b = ((b << np.uint64(r)) | (b >> np.uint64(32 - r))) & m
            b = b ^ a
        a = (a + ks[(i + 1) % 3]) & m
        b = (b + ks[(i + 2) % 3] + np.uint64(i + 1)) & m
    return a.astype(np.uint32), b.astype(np.uint32)


def prng_key(seed):
    """The two uint32 words of jax.random.PRNGKey(seed) for 0 <= seed < 2^32."""
    return (0, seed)


def random_bits(key, n, partitionable=False):
    """n uint32 words (C order) of the jax generator, 32-bit draws.

    partitionable False: the rule of jax 0.2 (2021/22) and of every jax under
    jax_threefry_partitionable=False: counters 0..n-1, first half as word 0, second
    half as word 1, outputs concatenated.  n must be even here (384 and 128 are).
    partitionable True (default of today's jax): counter (0, i), outputs xor-ed."""
    c = np.arange(n, dtype=np.uint32)
    if partitionable:
        a, b = threefry2x32(key, np.zeros_like(c), c)
        return a ^ b
    if n % 2:
        raise ValueError("even number of words expected")
    return np.concatenate(threefry2x32(key, c[: n // 2], c[n // 2 :]))


def uniform_from_bits(bits, low=0.0, high=1.0):
    """float32 uniforms of jax.random.uniform from uint32 bits: the top 23 bits as
    mantissa of a number in [1, 2), minus 1, scaled in float32.  Shape as bits."""
    f = ((bits >> np.uint32(9)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    lo, hi = np.float32(low), np.float32(high)
    return np.maximum(lo, f * (hi - lo) + lo)


def released_basis(partitionable=False, normalise_over=-1):
    """The released encoding basis, (131, 3) int64 rows: the 3 axes first (identity),
    then the 128 truncated directions.

    Defining calls, float32, one key used for both draws (hence correlated bits):
        key  = jax.random.PRNGKey(124124)
        dirs = jax.random.normal(key, (3, 128))
        dirs = dirs / norm over axis -1 (the 128), keepdims
        mags = 2 ** (8 * jax.random.uniform(key, (128,)))
        rows = int32(mags * dirs)          truncation towards zero
    With partitionable=False (jax of the release, <= 0.2.25): median length 1.0,
    largest 40.12, 60 of 128 (46.9 %) zero.  With True (jax default today): 1.73,
    42.25, 41.4 %.  normalise_over=0 gives the basis one would expect (over the 3)."""
    key = prng_key(SEED)
    lo = np.nextafter(np.float32(-1), np.float32(0))
    u = uniform_from_bits(random_bits(key, 3 * DIRECTIONS, partitionable), lo, 1.0)
    d = math.sqrt(2) * erfinv(u.astype(np.float64)).reshape(3, DIRECTIONS)
    d = d / np.sqrt((d**2).sum(axis=normalise_over, keepdims=True))
    w = uniform_from_bits(random_bits(key, DIRECTIONS, partitionable)).astype(np.float64)
    cut = np.trunc(2.0 ** (MAX_EXPONENT * w) * d).astype(np.int64)  # (3, 128)
    return np.concatenate([np.eye(3, dtype=np.int64), cut.T], axis=0)


def basis_statistics(rows):
    """Of (131, 3) rows: dict with median, largest length of the 128 directions (rows
    3..), share of zero vectors, number of distinct non-zero ones up to sign."""
    d = np.asarray(rows)[3:]
    n = np.sqrt((d.astype(np.float64) ** 2).sum(1))
    seen = {max(tuple(v), tuple(-c for c in v)) for v in d.tolist() if any(v)}
    return {
        "median": float(np.median(n)),
        "max": float(n.max()),
        "zero": float((n == 0).mean()),
        "distinct": len(seen),
    }
