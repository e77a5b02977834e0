"""Float64 oracle of the released DiffAug and of what lies under and behind the object.

Images are [h, w, c] or [h, w], not clipped. One draw per DiffAug copy, shared by all backgrounds behind it;
one change of size for the whole batch.
"""

import numpy as np


def brightness(image, b):
    """Image + b, b in [-0.5, 0.5)."""
    return image + b


def saturation(image, s):
    """About the mean over the channels of each pixel, factor s in [0, 2)."""
    m = image.mean(-1, keepdims=True)
    return (image - m) * s + m


def contrast(image, c):
    """About the mean over all pixels and channels of the image, factor c in [0.5, 1.5)."""
    m = image.mean()
    return (image - m) * c + m


def translate(image, rows, columns, fill=0.0):
    """out[r, c] = image[r + rows, c + columns], else `fill`; at most int(0.125 * side + 0.5) either way."""
    height, width = image.shape[:2]
    out = np.full(image.shape, float(fill))
    for r in range(height):
        for c in range(width):
            if 0 <= r + rows < height and 0 <= c + columns < width:
                out[r, c] = image[r + rows, c + columns]
    return out


def resize_bilinear(image, shape):
    """[h, w, ...] -> [*shape, ...]: align_corners False, no antialias, the edge continued."""
    image = np.asarray(image, float)

    def taps(n_in, n_out):
        out = []
        for i in range(n_out):
            s = max((i + 0.5) * n_in / n_out - 0.5, 0.0)
            k = min(int(s), n_in - 1)
            out.append((k, min(k + 1, n_in - 1), s - k))
        return out

    rows, columns = taps(image.shape[0], shape[0]), taps(image.shape[1], shape[1])
    out = np.zeros(tuple(shape) + image.shape[2:])
    for i, (a, b, f) in enumerate(rows):
        for j, (c, d, g) in enumerate(columns):
            upper = (1 - g) * image[a, c] + g * image[a, d]
            lower = (1 - g) * image[b, c] + g * image[b, d]
            out[i, j] = (1 - f) * upper + f * lower
    return out


def resize_pad(image, ratio, fill=0.0):
    """Square image to int(ratio * side), then padded with `fill` or cropped to its size about the centre."""
    n = image.shape[0]
    m = int(ratio * n)
    small = resize_bilinear(image, (m, m))
    if m < n:
        left = int((n - m) / 2)
        out = np.full(image.shape, float(fill))
        out[left : left + m, left : left + m] = small
        return out
    left = int((m - n) / 2)
    return small[left : left + n, left : left + n]


def cutout(image, row, column, fill=0.0):
    """A square of int(0.25 * side + 0.5) becomes `fill`; its centre in 0 .. side where that is even."""
    height, width = image.shape[:2]
    rows, columns = int(height * 0.25 + 0.5), int(width * 0.25 + 0.5)
    out = image.copy()
    for a in range(rows):
        for b in range(columns):
            r = min(max(a + row - rows // 2, 0), height - 1)
            c = min(max(b + column - columns // 2, 0), width - 1)
            out[r, c] = fill
    return out


def jitter(image, draws):
    """The colours of DiffAug: brightness, saturation, contrast."""
    return contrast(saturation(brightness(image, draws["b"]), draws["s"]), draws["c"])


def move(image, draws, fill=0.0):
    """The places of DiffAug: translation, change of size ("ratio", None for none), cutout."""
    image = translate(image, *draws["shift"], fill=fill)
    if draws.get("ratio") is not None:
        image = resize_pad(image, draws["ratio"], fill=fill)
    return cutout(image, *draws["cut"], fill=fill)


def diff_augment(image, draws):
    """All of DiffAug in the release's order."""
    return move(jitter(image, draws), draws)


def composite_released(colour, trans, background, draws):
    """[h, w, 3]: DiffAug(colour + T) + T * background, not clipped; T stays where it was."""
    return diff_augment(colour + trans[..., None], draws) + trans[..., None] * background


def composite_text(colour, trans, background, draws):
    """[h, w, 3]: DiffAug(colour) + T' * background, T' moved like the picture, 1 where nothing is left."""
    return diff_augment(colour, draws) + move(trans, draws, fill=1.0)[..., None] * background


def image_sources(n, num_diffs, num_bkgds=8):
    """(background, DiffAug copy) of image n of the release's batch, sorted by background."""
    assert 0 <= n < num_diffs * num_bkgds
    return n // num_diffs, n % num_diffs


def step_batch(colour, trans, backgrounds, diff_draws, ratio):
    """All images [B * D, h, w, 3] of a step before perspective and crop.

    Args:
      colour: [h, w, 3], premultiplied, nothing behind.
      trans: [h, w].
      backgrounds: [B, h, w, 3], blurred already; each stands behind every DiffAug copy.
      diff_draws: D dicts of b, s, c, shift and cut.
      ratio: of the change of size, one for the batch.
    """
    draws = [dict(each, ratio=ratio) for each in diff_draws]
    out = []
    for n in range(len(backgrounds) * len(draws)):
        behind, copy = image_sources(n, len(draws), len(backgrounds))
        out.append(composite_released(colour, trans, backgrounds[behind], draws[copy]))
    return np.stack(out)
