"""The perspective against a float64 homography, scipy's interpolation and a transposed loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from voxjax.augment import perspective

SIZE = (14, 18)
CORNERS = np.array([[0.0, 0.0], [17.0, 0.0], [17.0, 13.0], [0.0, 13.0]], np.float32)
warp = jax.jit(perspective.warp, static_argnames="size")
homography = jax.jit(perspective.homography)
sample_corners = jax.jit(perspective.sample_corners, static_argnames=("size", "distortion"))


def solved_homography(source, target):
    """The eight linear equations of a projective map, solved in float64."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right, float)), 1.0).reshape(3, 3)


def warped_by_scipy(image, matrix):
    """Bilinear interpolation at the positions that a float64 homography names; zero beyond the border."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    x, y, w = np.einsum("ij,jhw->ihw", matrix, np.stack([columns, rows, np.ones_like(rows)]).astype(float))
    positions = np.stack([y / w, x / w])
    channels = [
        scipy.ndimage.map_coordinates(image[..., c], positions, order=1, mode="grid-constant")
        for c in range(image.shape[2])
    ]
    return np.stack(channels, axis=-1)


def corners_of(seed, distortion=0.6):
    return np.asarray(sample_corners(jax.random.PRNGKey(seed), SIZE, distortion=distortion))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).uniform(0.5, 1.0, size=(*SIZE, 3))


def test_homography_matches_the_linear_system():
    for seed in range(4):
        source, target = corners_of(seed), corners_of(seed + 10, 0.9) * 3 + 5
        matrix = np.asarray(homography(source, target), np.float64)
        np.testing.assert_allclose(matrix, solved_homography(source, target), rtol=2e-3, atol=2e-4)
        mapped = np.append(source, np.ones((4, 1)), axis=1) @ matrix.T
        np.testing.assert_allclose(mapped[:, :2] / mapped[:, 2:], target, atol=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_warp_matches_scipy(image, seed):
    corners = corners_of(seed)
    back = homography(corners, CORNERS)
    exact = solved_homography(corners, CORNERS)
    got = warp(image.astype(np.float32), back)
    np.testing.assert_allclose(got, warped_by_scipy(image, exact), atol=1e-4)
    assert 0.2 < np.mean(np.asarray(got) == 0) < 0.9


def test_corners_of_the_image_land_on_the_drawn_corners():
    """A bright corner pixel shows at the place that was drawn for it, and nowhere else."""
    corners = np.array([[3.0, 2.0], [15.0, 1.0], [13.0, 11.0], [2.0, 12.0]], np.float32)
    back = homography(corners, CORNERS)
    for k, (column, row) in enumerate(CORNERS.astype(int)):
        image = np.zeros((*SIZE, 1), np.float32)
        image[row, column] = 1
        got = np.asarray(warp(image, back))[..., 0]
        x, y = corners[k].astype(int)
        assert got[y, x] == pytest.approx(1.0, abs=1e-3) and got.argmax() == y * SIZE[1] + x


def test_no_distortion_changes_nothing(image):
    back = homography(corners_of(0, 0.0), CORNERS)
    np.testing.assert_allclose(warp(image.astype(np.float32), back), image, atol=1e-4)


def test_part_of_the_output_is_the_crop_of_the_whole(image):
    back = homography(corners_of(3), CORNERS)
    whole = warp(image.astype(np.float32), back)
    part = warp(image.astype(np.float32), back, size=(6, 9), offset=np.array([5, 4]))
    np.testing.assert_allclose(part, whole[5:11, 4:13], atol=1e-6)


def test_gradient_is_the_transpose(image):
    """The warp is linear: column by column it must give what the gradient gives at once."""
    back = homography(corners_of(4), CORNERS)
    exact = solved_homography(corners_of(4), CORNERS)
    weight = np.random.default_rng(1).normal(size=image.shape)
    scalar = jax.jit(jax.grad(lambda x: jnp.sum(weight * perspective.warp(x, back))))
    gradient = scalar(jnp.asarray(image, jnp.float32))
    for row, column in [(0, 0), (0, 9), (13, 17), (7, 8), (5, 0), (13, 3)]:
        bump = np.zeros_like(image)
        bump[row, column, 1] = 1.0
        slope = np.sum(weight * warped_by_scipy(bump, exact))
        assert float(gradient[row, column, 1]) == pytest.approx(slope, abs=2e-3)


def test_extreme_corners_give_finite_images():
    """Also where the horizon of the map crosses the image."""
    np.testing.assert_array_equal(perspective.image_corners(SIZE), CORNERS)
    ones = np.ones((*SIZE, 1), np.float32)
    keys = jax.random.split(jax.random.PRNGKey(5), 64)

    def one(key):
        corners = perspective.sample_corners(key, SIZE, distortion=0.99)
        return perspective.warp(ones, perspective.homography(corners, perspective.image_corners(SIZE)))

    images = np.asarray(jax.jit(jax.vmap(one))(keys))
    assert np.all(np.isfinite(images)) and images.min() >= 0 and images.max() <= 1 + 1e-5
    horizon = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, -5.0]], np.float32)
    assert np.all(np.isfinite(warp(ones, horizon)))


def test_corners_move_inwards_by_up_to_three_tenths_each_on_its_own():
    keys = jax.random.split(jax.random.PRNGKey(6), 2000)
    corners = np.asarray(jax.jit(jax.vmap(lambda k: perspective.sample_corners(k, SIZE)))(keys), np.float64)
    side = np.array([SIZE[1] - 1, SIZE[0] - 1])
    inwards = np.abs(corners - np.array([[0, 0], [side[0], 0], side, [0, side[1]]])) / side
    assert np.all(corners >= 0) and np.all(corners <= side)
    for values in inwards.reshape(2000, 8).T:
        assert values.max() <= 0.3 + 1e-6
        counts = np.histogram(values, bins=5, range=(0, 0.3))[0]
        assert np.all(np.abs(counts - 400) < 5 * np.sqrt(400))
    correlation = np.corrcoef(inwards.reshape(2000, 8).T)
    assert np.max(np.abs(correlation - np.eye(8))) < 0.12
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        corners_of(0, 1.0)
