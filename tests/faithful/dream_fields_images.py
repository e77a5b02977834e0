"""From a render to what CLIP sees, as Dream Fields' released code does it, in float64.

Images are [height, width, 3]; colours in [0, 1], premultiplied.
"""

import numpy as np
from faithful.dream_fields_network import sigmoid

CHECKER_SQUARES = 8
BLUR_KERNEL, BLUR_SD_MAX = 15, 10.0
FFT_SD, FFT_DECAY = 0.2, 1.5
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SD = (0.26862954, 0.26130258, 0.27577711)
COLOUR_CORRELATION = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))


def crop(image, ix, iy, width):
    """Rows iy .. iy + width, columns ix .. ix + width of (H, W, C)."""
    return image[iy : iy + width, ix : ix + width]


def resize_matrix(n_in, n_out):
    """(n_out, n_in) weights of jax.image.resize 'bilinear': triangle kernel at half-
    pixel centres, weights renormalised to 1 at the border (edge held); widened by
    n_in / n_out when shrinking (antialias; the released sizes only enlarge)."""
    inv = n_in / n_out
    centre = (np.arange(n_out) + 0.5) * inv - 0.5
    w = np.maximum(0.0, 1 - np.abs(centre[:, None] - np.arange(n_in)[None]) / max(inv, 1.0))
    return w / w.sum(1, keepdims=True)


def resize(image, n_out):
    """Bilinear resize of a square (H, H, C) image to (n_out, n_out, C); identity when
    sizes agree (hq).  The release resizes opacity to 3 equal channels; the same."""
    m = resize_matrix(image.shape[0], n_out)
    return np.einsum("bj,ajc->abc", m, np.einsum("ai,ijc->ajc", m, image))


def bg_checkerboard(colours, size, squares=CHECKER_SQUARES):
    """colours (2, 3) uniform in [0, 1) -> (size, size, 3); the top-left square has
    colours[0]; squares of size / squares px (28 at 224)."""
    i = np.arange(size) // (size // squares)
    odd = ((i[:, None] + i[None, :]) % 2)[..., None]
    return np.where(odd == 1, np.asarray(colours)[1], np.asarray(colours)[0])


def bg_fft(normals, size):
    """normals (2, 3, size, size / 2 + 1) standard normal: [real, imaginary] x channel
    -> (size, size, 3) in (0, 1).  spectrum = 0.2 (re + i im) * size /
    max(f, 1 / size)^1.5, f in cycles per pixel; inverse real FFT (1 / size^2
    normalisation, imaginary part of self-conjugate bins dropped), / 4, times
    (M / largest column norm)^T over channels, sigmoid.  No mean is added."""
    z = np.asarray(normals)
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.fftfreq(size)[: size // 2 + 1]
    f = np.sqrt(fx**2 + fy**2)
    s = FFT_SD * (z[0] + 1j * z[1]) * (size / np.maximum(f, 1.0 / size) ** FFT_DECAY)
    img = np.moveaxis(np.fft.irfft2(s, s=(size, size)), 0, -1) / 4.0
    m = np.array(COLOUR_CORRELATION)
    m = m / np.sqrt((m**2).sum(0)).max()
    return sigmoid(img @ m.T)


def blur_kernel(sd, size=BLUR_KERNEL):
    """(size,) Gaussian taps exp(-x^2 / 2 sd^2), x in pixels, summing to 1."""
    x = np.arange(size) - size // 2
    g = np.exp(-(x**2) / (2 * sd**2))
    return g / g.sum()


def blur(image, sd, size=BLUR_KERNEL):
    """Separable blur of (H, W, C), sd in px, zeros beyond the border and no
    renormalisation there: borders darken (a constant 1 falls to about 0.53 on an edge
    and 0.28 in a corner at sd 10)."""
    g, h = blur_kernel(sd, size), size // 2
    p = np.pad(image, ((h, h), (h, h), (0, 0)))
    rows = sum(g[k] * p[k : k + image.shape[0]] for k in range(size))
    return sum(g[k] * rows[:, k : k + image.shape[1]] for k in range(size))


def background(draws, size):
    """One image's background (size, size, 3).  draws: dict with 'kind' (0 noise,
    1 checkerboard, 2 smooth noise), that kind's draws ('noise', 'colours', 'normals')
    and 'blur' u in [0, 1): sd = 10 u px.  Every kind is blurred; made at CLIP's size; not clipped."""
    make = {
        0: lambda: np.asarray(draws["noise"]),
        1: lambda: bg_checkerboard(draws["colours"], size),
        2: lambda: bg_fft(draws["normals"], size),
    }
    img = make[draws["kind"]]()
    return blur(img, BLUR_SD_MAX * draws["blur"])


def augment(colour, opacity, draws, crop_width, clip_width):
    """One augmented view (clip, clip, 3): crop colour and opacity at the same offset
    (draws['ix'], draws['iy']), resize each bilinearly, only then composite
    colour * opacity + background * (1 - opacity), colour being premultiplied already
    (thin density darkened twice).  colour (W, W, 3), opacity (W, W).  Not clipped."""
    ix, iy = draws["ix"], draws["iy"]
    c = resize(crop(colour, ix, iy, crop_width), clip_width)
    a = resize(crop(opacity[..., None], ix, iy, crop_width), clip_width)
    return c * a + background(draws, clip_width) * (1 - a)


def clip_normalise(image):
    """(x - mean) / sd per channel; no clipping, no further resize."""
    return (image - np.array(CLIP_MEAN)) / np.array(CLIP_SD)
