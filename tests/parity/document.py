"""`docs/parity.md` from the figures."""

import os
from importlib import metadata

PACKAGES = ("jax", "flax", "transformers", "torch", "open_clip_torch", "pillow")

HEAD = """# Parity

`make parity` measures what stands here and writes this page. It makes checkpoints of full size with random
weights, loads them as a user would, and holds the result against PyTorch on the same files. Nothing is
downloaded but the two PyTorch packages, which voxjax itself never imports.

{versions}, on {cores} CPU cores.
"""

MODELS = """
## Embeddings and pixel gradients

References: `CLIPModel` of transformers for its own layout, the model of open_clip for the other. Float32 on
both sides, two images and 3 prompts of 4 to 11 tokens. Limits: cosine distance of embeddings 1e-4;
gradient of the summed cosine with the first prompt 1e-3, as the norm of the difference over the norm of the
reference. bfloat16 is held against float32, both ours: cosine above 0.999 for embeddings and above 0.98 for
gradients. Every figure is that of the worst image or prompt.

| model | activation | pixels | reference | image | text | gradient | bf16 image | bf16 gradient |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}

For scale: the cosine distance between the embeddings of the two images, and of two of the prompts, is at
least {spread} in every model.

About the ResNets' random weights. The running statistics of their batch norms are those that PyTorch takes
over four random images, and the norms' biases lie 4 standard deviations from 0, so that hardly a ReLU
stands at its corner. One that does is turned over by rounding alone, and the gradient changes by all that
passes through it: a single one of the millions in RN50x4 by 1.2e-3, seen between PyTorch's own float32 and
float64. With biases near 0, where half of all ReLUs are near their corner, the gradients of a float32 and a
float64 RN50 of PyTorch were 5e-4 apart, and bfloat16, whose roundings are 65,000 times as large, came to a
cosine of 0.95 only (measured once). What trained weights do was not measured. Embeddings hardly notice: their
cosine stayed above 0.9998. In a bfloat16 ResNet the stem and the first stage, a hundredth of the parameters,
stay in float32: rounding their kernels made most of the gradient's error.
"""

ROWS = """
## Every name of the table, at full size

Each checkpoint is built with random float32 weights in the layout that stands beside it, loaded by its name
from its folder in a fresh process (prompts encoded, text tower dropped, image tower in float32), encodes one
image, and is removed. "Published" is the released model's number of parameters, in millions. "Load" is
seconds until parameters and prompts are on the device, compilation of the text tower included. "Peak" is the
largest resident memory of the process up to then, the pages of the mapped file included; {imports} of it are
the interpreter and its imports. The tower takes half of its size in bfloat16.

| name | layout | pixels | d | file | parameters (M) | published (M) | load (s) | peak | image tower |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{table}
"""

PIXELS = """
## From pictures to pixels

The reference preprocessing of a picture: shorter side to s by bicubic interpolation with antialiasing on
8-bit values, rounded and clipped to 8 bits, the middle s x s cut out, divided by 255, normalised. Ours, in
training and in evaluation: a square float image to s x s by *bilinear* interpolation, antialiased where it
shrinks (`voxjax.augment.pipeline.resize_to`), normalised. What differs:

- the filter: bilinear stays within the range of its input and spreads a pixel over fewer others, so that its
  gradient is local and positive; bicubic overshoots at edges (and is clipped, which has no gradient there).
  Ours is softer: edges and single-pixel detail lose contrast.
- the rounding to 8 bits (at most 0.002 here), which a gradient cannot pass.
- the cut: renders are square, nothing is cut off.

"Filter" is the largest difference between ours and Pillow's bilinear filter on floats, that is between two
implementations of the same mathematics. "Mean" and "largest" are absolute differences to the reference on
pixels in [0, 1], "cosine" is that of the two embeddings by the CLIP that ships (`pocket`).

| picture | from | to | filter | mean | largest | cosine |
| --- | --- | --- | --- | --- | --- | --- |
{table}
"""


def _mib(n):
    return f"{n / 2**20:.0f} MiB" if n < 2**30 else f"{n / 2**30:.2f} GiB"


def _row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def render(figures):
    """The page, from the figures of `__main__.run`."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    page = HEAD.format(versions=versions, cores=os.cpu_count())
    models = figures["models"]
    spread = min(each[key] for each in models for key in ("spread_text", "spread_image"))
    table = [
        _row(
            each["name"],
            each["activation"],
            each["pixels"],
            each["reference"],
            *(f"{each[key]:.1e}" for key in ("image", "text", "gradient")),
            f"{each['bf16_image']:.5f}",
            f"{each['bf16_gradient']:.4f}",
        )
        for each in models
    ]
    page += MODELS.format(table="\n".join(table), spread=f"{spread:.1g}")
    table = [
        _row(
            each["name"],
            each["layout"],
            each["image_size"],
            each["embedding_size"],
            _mib(each["file_bytes"]),
            f"{each['parameters'] / 1e6:.2f}",
            each["published_millions"],
            f"{each['seconds']:.0f}",
            _mib(each["peak_bytes"]),
            _mib(each["tower_bytes"]),
        )
        for each in figures["rows"]
    ]
    imports = _mib(min(each["imports_bytes"] for each in figures["rows"]))
    page += ROWS.format(table="\n".join(table), imports=imports)
    table = [
        _row(
            each["image"],
            each["from"],
            each["to"],
            *(f"{each[key]:.1e}" for key in ("same_filter", "mean", "max")),
            "" if each["cosine"] is None else f"{each['cosine']:.4f}",
        )
        for each in figures["pixels"]
    ]
    return page + PIXELS.format(table="\n".join(table))
