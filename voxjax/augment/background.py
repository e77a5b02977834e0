"""BackAug: random backgrounds of one image, so that an object cannot be made of its background.

Notation. A background is [height, width, 3] in [0, 1]. Three kinds, drawn with equal probability unless told
otherwise: a checkerboard in two colours, uniform noise, and smooth noise from a random spectrum. Then a
Gaussian blur of random strength. No gradient flows through a background.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.structs import Array

KERNEL_PX = 15
SQUARES = 8
SPECTRUM_SD = 0.2
SPECTRUM_DECAY = 1.5
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


def gaussian_blur(image: Array, sd: Array, *, reflect: bool = True) -> Array:
    """Blurs an image, kernel 15 x 15.

    Args:
      image: [height, width, c], at least 8 pixels a side.
      sd: [], standard deviation in pixels.
      reflect: mirrored borders (Pure CLIP guidance), or zeros beyond them (Dream Fields; darkens the rim).

    Returns:
      [height, width, c].
    """
    height, width, channels = image.shape
    rows = blur_matrix(sd, height, reflect=reflect)
    columns = blur_matrix(sd, width, reflect=reflect)
    exact = jax.lax.Precision.HIGHEST
    image = jnp.matmul(rows, image.reshape(height, width * channels), precision=exact)
    return jnp.einsum("kl,ilc->ikc", columns, image.reshape(height, width, channels), precision=exact)


def _uniform(key: Array, n: int) -> Array:
    """n numbers of 16 bits, in the open interval (0, 1)."""
    return (jax.random.bits(key, (n,), jnp.uint16).astype(jnp.float32) + 0.5) / 2.0**16


def sample_background(
    key: Array,
    size: tuple[int, int],
    *,
    blur_sd: tuple[float, float] = (0.0, 10.0),
    reflect: bool = True,
    probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3),
    spectrum_key: Array | None = None,
    blur_key: Array | None = None,
) -> Array:
    """Draws the background of one image.

    Args:
      key: PRNG key of this image.
      size: (height, width) in pixels, static.
      blur_sd: range of the blur's standard deviation, pixels; (0, 0) for no blur.
      reflect: see `gaussian_blur`.
      probabilities: of checkerboard, noise and smooth noise; kinds with probability 0 are not computed.
      spectrum_key: key of the smooth noise where all images of a step share it (released code).
      blur_key: key of the blur's strength where all images of a step share it (released code).

    Returns:
      [height, width, 3], in [0, 1], without gradient.
    """
    # The generator is the most expensive part on CPU, to run and to compile: one call for everything, 16 bits
    # a number, and the same numbers for noise and spectrum, of which an image shows only one.
    n_spectrum, n_noise, n_small = int(np.prod(spectrum_shape(size))), 3 * size[0] * size[1], 8
    u = _uniform(key, n_small + max(n_noise, n_spectrum))
    kind_u, blur_u, colours, texture = u[0], u[1], u[2:8].reshape(2, 3), u[n_small:]

    def draw(kind: int) -> Array:
        if kind == 0:
            return checkerboard(colours, size)
        if kind == 1:
            return texture[:n_noise].reshape(*size, 3)
        own = texture[:n_spectrum] if spectrum_key is None else _uniform(spectrum_key, n_spectrum)
        return smooth_noise(jax.scipy.special.ndtri(own).reshape(spectrum_shape(size)), size)

    kinds = [kind for kind in range(3) if probabilities[kind] > 0]
    borders = np.cumsum([probabilities[kind] for kind in kinds]) / sum(probabilities)
    image = draw(kinds[0])
    for kind, border in zip(kinds[1:], borders[:-1], strict=True):
        image = jnp.where(kind_u < border, image, draw(kind))
    if max(blur_sd) > 0:
        if blur_key is not None:
            blur_u = _uniform(blur_key, 1)[0]
        image = gaussian_blur(image, blur_sd[0] + (blur_sd[1] - blur_sd[0]) * blur_u, reflect=reflect)
    return jax.lax.stop_gradient(image)
