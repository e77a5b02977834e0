"""How sure a mean over runs is: bootstrap intervals over prompts.

Notation. r runs of p prompts. Runs of one prompt, its seeds, are alike in how hard the prompt is: they are
drawn together or not at all (a cluster bootstrap; Davison and Hinkley 1997, on hierarchical data), and what
would change with other prompts is what the interval tells.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LEVEL, N_RESAMPLES, SEED = 0.95, 10_000, 0
METHOD = (
    f"{LEVEL:.0%} percentile bootstrap over prompts, {N_RESAMPLES} resamples, seed {SEED}; the runs of a "
    "prompt stay together"
)
# Resamples at a time: p prompts take so many times p integers.
_CHUNK = 1000


def bootstrap_intervals(
    values: Mapping[str, np.ndarray], prompts: np.ndarray
) -> dict[str, tuple[float, float] | None]:
    """Intervals of several means over the same runs, all from the same resamples.

    A resample draws p prompts with replacement and takes the mean over all runs of the drawn ones, so that a
    prompt with more runs weighs more, as it does in the mean itself.

    Args:
      values: name -> [r], one number for each run.
      prompts: [r], anything that tells the runs' prompts apart.

    Returns:
      Name -> (low, high), percentiles with linear interpolation; None where there is one prompt only, of
      which nothing can be resampled.
    """
    _, group = np.unique(np.asarray(prompts), return_inverse=True)
    counts = np.bincount(group)
    n_prompts = len(counts)
    if n_prompts < 2:
        return dict.fromkeys(values)
    sums = np.stack([np.bincount(group, np.asarray(each, np.float64)) for each in values.values()])
    rng = np.random.default_rng(SEED)
    means = []
    for start in range(0, N_RESAMPLES, _CHUNK):
        drawn = rng.integers(0, n_prompts, (min(_CHUNK, N_RESAMPLES - start), n_prompts))
        means.append(sums[:, drawn].sum(axis=-1) / counts[drawn].sum(axis=-1))
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(np.concatenate(means, axis=1), [tail, 100 - tail], axis=1)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(values)}
