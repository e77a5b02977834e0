"""A block of the images is what it is among all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax.augment import pipeline
from voxjax.augment.block import Block
from voxjax.augment.options import AugmentOptions

KEY = jax.random.key(4)
VIEWS, N_DIFF, N_BACK = 2, 3, 4
EVERY = {
    "paper": {},
    "released": {"under": "white", "shared_background_draws": True, "shared_view_draws": True},
    "apart": {"share_backgrounds": False, "persp": False},
    "dream fields": {"background_px": 10, "composite": "darkened", "share_backgrounds": False},
    "at the CLIP's size": {"background_px": 10},
    "off": {"diff": False, "back": False, "persp": False, "crop": False},
}


@pytest.mark.parametrize("name", EVERY)
def test_a_block_has_the_draws_of_its_images(name):
    rng = np.random.default_rng(0)
    colour, transmittance = jnp.array(rng.random((VIEWS, 16, 16, 3))), jnp.array(rng.random((VIEWS, 16, 16)))
    options = AugmentOptions(n_diff=N_DIFF, n_back=N_BACK, crop_px=4, **EVERY[name])

    def augment(first, size):
        block = None if size is None else Block(first, size)
        return pipeline.augment_views(KEY, colour, transmittance, options=options, block=block)

    augment = jax.jit(augment, static_argnums=1)
    whole = np.asarray(augment(jnp.int32(0), None))
    assert len(whole) == 24
    # Blocks of 5 begin in the middle of things, those of 4 and 12 fall on draws and on views.
    for size in (4, 5, 12):
        for first in {0, size, min(3 * size, 24 - size), 24 - size}:
            block = augment(jnp.int32(first), size)
            np.testing.assert_allclose(
                block, whole[first : first + size], atol=1e-5, err_msg=f"{first}, {size}"
            )


@pytest.mark.parametrize(
    ("size", "copies"), [(1, 4), (3, 4), (4, 4), (5, 4), (8, 4), (12, 4), (24, 4), (2, 24)]
)
def test_the_sources_of_a_block_are_all_there_and_few(size, copies):
    n = 24 // copies
    for first in range(0, 25 - size, size if 24 % size == 0 else 1):
        sources = np.asarray(Block(jnp.int32(first), size).sources(copies, n))
        needed = {(first + i) // copies for i in range(size)}
        assert needed <= set(sources.tolist()) and sources.max() < n and sources.min() >= 0
        assert np.all(np.diff(sources) == 1)
        if 24 % size == 0 and max(size, copies) % min(size, copies) == 0:
            assert set(sources.tolist()) == needed
