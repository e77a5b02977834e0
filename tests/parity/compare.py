"""One model against its reference: embeddings and pixel gradients, in float32, and bfloat16 against both."""

import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from parity import reference
from parity.models import MODELS, PROMPTS, pictures, random_tensors, write
from voxjax.guidance import load_guidance

IMAGES = 2


def _cosines(a, b):
    a, b = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (a, b))
    return np.sum(a * b, -1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def _relative(a, b):
    a, b = (np.asarray(each, np.float64).reshape(len(each), -1) for each in (a, b))
    return np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)


def _ours(folder, images, dtype):
    guidance, text = load_guidance(str(folder), prompts=PROMPTS, dtype=dtype)

    def total_cosine(images, params, target):
        embeddings = guidance.encode(params, images)
        return jnp.sum(embeddings @ target), embeddings

    run = jax.jit(jax.value_and_grad(total_cosine, has_aux=True))
    (_, embeddings), gradient = jax.device_get(run(images, guidance.params, text[0]))
    return np.asarray(text), embeddings, gradient


def compare(name):
    """Figures of one model.

    Returns:
      `text`, `image`: largest cosine distance to the reference. `gradient`: largest norm of the difference
      of an image's gradients over the norm of the reference's. `bf16_image`, `bf16_gradient`: smallest
      cosine between bfloat16 and float32.
    """
    model = MODELS[name]
    size = {"transformers": "vision_config", "open_clip": "model_cfg"}[model.layout]
    size = model.raw[size].get("vision_cfg", model.raw[size])["image_size"]
    began = time.monotonic()
    tensors = reference.calibrate(model, random_tensors(model), pictures(4, size, seed=1))
    with tempfile.TemporaryDirectory() as folder:
        write(model, folder, tensors)
        images = pictures(IMAGES, size)
        text, embeddings, gradient = _ours(folder, images, "float32")
        _, half_embeddings, half_gradient = _ours(folder, images, "bfloat16")
        made = reference.build(model, tensors)
        their_text = reference.text_embeddings(model, made, PROMPTS, Path(folder) / "tokenizer.json")
    theirs, their_gradient = reference.image_embeddings(model, made, images, their_text[0])
    return {
        "name": name,
        "reference": {"transformers": "transformers", "open_clip": "open_clip"}[model.layout],
        "activation": model.activation,
        "pixels": size,
        "text": float(np.max(1 - _cosines(text, their_text))),
        "image": float(np.max(1 - _cosines(embeddings, theirs))),
        "gradient": float(np.max(_relative(gradient, their_gradient))),
        "bf16_image": float(np.min(_cosines(half_embeddings, embeddings))),
        "bf16_gradient": float(np.min(_cosines(half_gradient, gradient))),
        # How unlike each other the things compared are: with all alike nothing would be proven.
        "spread_text": float(1 - _cosines(text[:1], text[1:2])[0]),
        "spread_image": float(1 - _cosines(embeddings[:1], embeddings[1:])[0]),
        "seconds": time.monotonic() - began,
    }
