"""Float64 oracle of the released backgrounds: a kind per background, blur and spectrum per step."""

import numpy as np


def checkerboard(size, colour1, colour2, squares=8):
    """[size, size, 3], size a multiple of 8: colour2 where row + column of a square is odd."""
    k = size // squares
    out = np.zeros((k * squares, k * squares, 3))
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = colour2 if (r // k + c // k) % 2 else colour1
    return out


def smooth_noise(normals, size, sd=0.2, decay=1.5):
    """[size, size, 3] from normals [2 (real, imaginary), 3, size, size // 2 + 1], size even.

    Spectrum sd * n / max(f, 1 / size)^decay * size; inverse real FFT; / 4; colours mixed by the ImageNet
    matrix over its largest column norm; sigmoid.
    """
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.fftfreq(size)[: size // 2 + 1]
    f = np.sqrt(fx * fx + fy * fy)
    spectrum = sd * (normals[0] + 1j * normals[1]) * (size / np.maximum(f, 1.0 / size) ** decay)
    image = np.transpose(np.fft.irfft2(spectrum), (1, 2, 0)) / 4.0
    mix = np.array([[0.26, 0.09, 0.02], [0.27, 0, -0.05], [0.27, -0.09, 0.03]])
    mix = mix / np.linalg.norm(mix, axis=0).max()
    return 1.0 / (1.0 + np.exp(-(image @ mix.T)))


def gaussian_kernel(sd, n=15):
    """exp(-x^2 / 2 sd^2) in n taps, normalised."""
    w = np.exp(-0.5 * ((np.arange(n) - n // 2) / sd) ** 2)
    return w / w.sum()


def blur(image, sd_along_row, sd_along_column=4.0, n=15):
    """15 x 15 Gaussian, mirrored at the border without repeating the outermost pixel.

    In the release the strength along a row is drawn from [0, 10) once a step; that along a column is
    *always* 4, because the call gives a border mode (the number 4) in the place of this one.
    """
    height, width = image.shape[:2]
    half = n // 2

    def mirror(i, m):
        while i < 0 or i >= m:
            i = -i if i < 0 else 2 * (m - 1) - i
        return i

    kx, ky = gaussian_kernel(sd_along_row, n), gaussian_kernel(sd_along_column, n)
    between, out = np.zeros(image.shape), np.zeros(image.shape)
    for c in range(width):
        for k in range(n):
            between[:, c] += kx[k] * image[:, mirror(c + k - half, width)]
    for r in range(height):
        for k in range(n):
            out[r] += ky[k] * between[mirror(r + k - half, height)]
    return out
