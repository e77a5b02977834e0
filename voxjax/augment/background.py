"""BackAug: random backgrounds of one image, so that an object cannot be made of its background.

Notation. A background is [height, width, 3] in [0, 1]. Three kinds, drawn with equal probability unless told
otherwise: a checkerboard in two colours, uniform noise, and smooth noise from a random spectrum. Then a
Gaussian blur of random strength. No gradient flows through a background.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import numpy as np

from voxjax.structs import Array

KERNEL_PX = 15
SQUARES = 8
SPECTRUM_SD = 0.2
SPECTRUM_DECAY = 1.5
# Numbers beside the texture: which kind, how much blur, two colours.
_N_SMALL = 8
# Square root of the colour covariance of ImageNet, over its largest column norm (Lucid's colour space).
_COLOUR_ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
COLOUR_MATRIX = _COLOUR_ROOT / np.linalg.norm(_COLOUR_ROOT, axis=0).max()


def checkerboard(colours: Array, size: tuple[int, int]) -> Array:
    """An 8 x 8 checkerboard.

    Args:
      colours: [2, 3]; the first one fills the top left square.
      size: (height, width) in pixels, static; squares differ by a pixel where 8 does not divide it.

    Returns:
      [height, width, 3].
    """
    rows, columns = (np.arange(side) * SQUARES // side for side in size)
    odd = (rows[:, None] + columns) % 2 == 1
    return jnp.where(odd[..., None], colours[1], colours[0])


def spectrum_shape(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Shape of the normal draws of `smooth_noise`: (real and imaginary, colours, rows, half the columns)."""
    return 2, 3, size[0], size[1] // 2 + 1


def smooth_noise(normals: Array, size: tuple[int, int]) -> Array:
    """Smooth colour noise from a random spectrum that falls with frequency.

    Args:
      normals: standard normal draws of shape `spectrum_shape(size)`.
      size: (height, width) in pixels, static.

    Returns:
      [height, width, 3], in (0, 1): sigmoid of an image of correlated colours.
    """
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    scale = SPECTRUM_SD * np.sqrt(height * width) / np.maximum(frequency, 1 / max(size)) ** SPECTRUM_DECAY
    spectrum = jax.lax.complex(normals[0], normals[1]) * jnp.asarray(scale, normals.dtype)
    channels = jnp.fft.irfft2(spectrum, s=size) / 4
    # Sums instead of a product with a 3 x 3 matrix: faster, and exact on GPU.
    mixed = [sum(float(row[c]) * channels[c] for c in range(3)) for row in COLOUR_MATRIX]
    return jax.nn.sigmoid(jnp.stack(mixed, axis=-1))


def blur_matrix(sd: Array, size_px: int, *, reflect: bool) -> Array:
    """Gaussian blur with a kernel of 15 along one axis, as a matrix.

    A matrix product with a strength per image is many times faster than a grouped convolution on CPU.

    Args:
      sd: [], standard deviation in pixels; 0 blurs nothing.
      size_px: pixels along the axis, static, at least 8.
      reflect: continue the image by its mirror image about the outermost pixel centres, or by zeros.

    Returns:
      [size, size], to be multiplied from the left.

    Raises:
      ValueError: if the axis is shorter than half the kernel.
    """
    reach = KERNEL_PX // 2
    if size_px <= reach:
        raise ValueError(f"blurring needs at least {reach + 1} pixels a side, got {size_px}")
    sd = jnp.maximum(sd, 1e-3)

    def kernel(offset: np.ndarray) -> Array:
        return jnp.where(np.abs(offset) <= reach, jnp.exp(-0.5 * jnp.square(offset / sd)), 0.0)

    target, source = np.arange(size_px)[:, None], np.arange(size_px)
    matrix = kernel(target - source)
    if reflect:
        last = size_px - 1
        matrix = matrix + jnp.where(source > 0, kernel(target + source), 0.0)
        matrix = matrix + jnp.where(source < last, kernel(2 * last - source - target), 0.0)
    return matrix / jnp.sum(kernel(np.arange(-reach, reach + 1)))


def gaussian_blur(
    image: Array, sd: Array, *, reflect: bool = True, vertical_sd: Array | float | None = None
) -> Array:
    """Blurs an image, kernel 15 x 15.

    Args:
      image: [height, width, c], at least 8 pixels a side.
      sd: [], standard deviation in pixels.
      reflect: mirrored borders (Pure CLIP guidance), or zeros beyond them (Dream Fields; darkens the rim).
      vertical_sd: [], standard deviation along columns, where it is another one; None for `sd`.

    Returns:
      [height, width, c].
    """
    height, width, channels = image.shape
    down = sd if vertical_sd is None else jnp.asarray(vertical_sd, jnp.float32)
    rows = blur_matrix(down, height, reflect=reflect)
    columns = blur_matrix(sd, width, reflect=reflect)
    exact = jax.lax.Precision.HIGHEST
    image = jnp.matmul(rows, image.reshape(height, width * channels), precision=exact)
    return jnp.einsum("kl,ilc->ikc", columns, image.reshape(height, width, channels), precision=exact)


def numbers_needed(size: tuple[int, int]) -> int:
    """How many uniform numbers `background_from_uniform` takes for a (height, width)."""
    return _N_SMALL + max(int(np.prod(spectrum_shape(size))), 3 * size[0] * size[1])


def uniform_16bit(key: Array, shape: tuple[int, ...]) -> Array:
    """Uniform numbers of 16 bits, at half the price of `jax.random.uniform`.

    Args:
      key: PRNG key.
      shape: of the result, static.

    Returns:
      (k + 1/2) / 2^16 with k uniform in 0 ... 2^16 - 1, so neither 0 nor 1 occurs.
    """
    n = int(np.prod(shape))
    words = jax.random.bits(key, (-(-n // 2),), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(-1)[:n].reshape(shape)
    return (halves.astype(jnp.float32) + 0.5) / 2.0**16


def background_from_uniform(
    u: Array,
    size: tuple[int, int],
    *,
    blur_sd: tuple[float, float] = (0.0, 10.0),
    reflect: bool = True,
    probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
    shared: Array | None = None,
    vertical_sd: float = 0.0,
) -> Array:
    """Turns uniform numbers into the background of one image.

    Args:
      u: [numbers_needed(size)], in the open interval (0, 1). Noise and spectrum are made of the same numbers:
        an image shows only one of them, and drawing numbers is what costs most on CPU.
      size: (height, width) in pixels, static.
      blur_sd: range of the blur's standard deviation, pixels; (0, 0) for no blur.
      reflect: see `gaussian_blur`.
      probabilities: of checkerboard, noise and smooth noise; kinds with probability 0 are not computed.
      shared: like `u`, of which strength of the blur and spectrum are made where all images of a step have
        these in common (released code); None for `u`.
      vertical_sd: standard deviation of the blur along columns, pixels; 0 for the one that is drawn.

    Returns:
      [height, width, 3], in [0, 1], without gradient.

    Raises:
      ValueError: if no kind has a positive probability.
    """
    chex.assert_shape(u, (numbers_needed(size),))
    shared = u if shared is None else shared
    kinds = [kind for kind in range(3) if probabilities[kind] > 0]
    if not kinds:
        raise ValueError(f"one kind of background needs a positive probability, got {probabilities}")

    def draw(kind: int) -> Array:
        if kind == 0:
            return checkerboard(u[2:_N_SMALL].reshape(2, 3), size)
        if kind == 1:
            return u[_N_SMALL:][: 3 * size[0] * size[1]].reshape(*size, 3)
        shape = spectrum_shape(size)
        numbers = shared[_N_SMALL:][: int(np.prod(shape))].reshape(shape)
        return smooth_noise(jax.scipy.special.ndtri(numbers), size)

    borders = np.cumsum([probabilities[kind] for kind in kinds]) / sum(probabilities)
    image = draw(kinds[0])
    for kind, border in zip(kinds[1:], borders[:-1], strict=True):
        image = jnp.where(u[0] < border, image, draw(kind))
    if max(blur_sd) > 0:
        sd = blur_sd[0] + (blur_sd[1] - blur_sd[0]) * shared[1]
        image = gaussian_blur(image, sd, reflect=reflect, vertical_sd=vertical_sd or None)
    return jax.lax.stop_gradient(image)


def sample_background(
    key: Array,
    size: tuple[int, int],
    *,
    blur_sd: tuple[float, float] = (0.0, 10.0),
    reflect: bool = True,
    probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
) -> Array:
    """As `background_from_uniform`, from a PRNG key."""
    u = uniform_16bit(key, (numbers_needed(size),))
    return background_from_uniform(u, size, blur_sd=blur_sd, reflect=reflect, probabilities=probabilities)
