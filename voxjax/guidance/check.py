"""Whether a CLIP is sane: what it says of a picture that the user can see.

Notation: c captions. Shares are the softmax over the captions of the cosines times the model's own scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.errors import UserError
from voxjax.guidance import load_guidance, loading, tokens
from voxjax.guidance.pixels import read_picture

# For models that know any word: pictures at hand show one of these, more or less.
CAPTIONS = (
    "a photo of a person",
    "a photo of a crowd",
    "a photo of a dog",
    "a photo of a cat",
    "a photo of a bird",
    "a photo of a horse",
    "a photo of a fish",
    "a photo of an insect",
    "a photo of a flower",
    "a photo of a tree",
    "a photo of a car",
    "a photo of a bicycle",
    "a photo of a ship",
    "a photo of an airplane",
    "a photo of a building",
    "a photo of a street",
    "a photo of a mountain",
    "a photo of a beach",
    "a photo of the sky",
    "a photo of food",
    "a photo of a chair",
    "a photo of a computer",
    "a photo of a toy",
    "a drawing",
    "a diagram",
    "a page of text",
    "a render of a 3d model",
    "random noise",
)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What a CLIP says of a picture.

    Attributes:
      image_size: pixels a side at which it saw the picture.
      scale: of the cosines before the softmax.
      captions: c texts, the best first.
      cosines: [c], in [-1, 1].
      shares: [c], of sum 1.
    """

    image_size: int
    scale: float
    captions: list[str]
    cosines: np.ndarray
    shares: np.ndarray


def rank(name: str, folder: Path, image: str | Path, captions: Sequence[str]) -> Ranking:
    """Ranks captions by a picture, with the model as guidance uses it.

    Args:
      name: what to call the model.
      folder: complete, in either layout (see `names.py`).
      image: file of a picture.
      captions: c texts; () for `built_in_captions`.

    Raises:
      UserError: a model that cannot be loaded, a picture that cannot be read, or a caption that the model
        cannot take.
    """
    checkpoint = loading.describe(folder, np.float32)
    # Before the weights, which may take a while to read.
    picture = read_picture(image, checkpoint.image_size)
    captions = list(captions) or built_in_captions(folder)
    scale = float(np.exp(np.float64(loading.read_weights(checkpoint)[loading.LOGIT_SCALE])))
    guidance, texts = load_guidance(name, prompts=captions, path=folder)
    embedding = jax.jit(guidance.encode)(guidance.params, jnp.asarray(picture)[None])[0]
    cosines = np.asarray(texts, np.float64) @ np.asarray(embedding, np.float64)
    shares = np.exp(scale * (cosines - cosines.max()))
    order = np.argsort(-cosines, kind="stable")
    return Ranking(
        image_size=guidance.image_size,
        scale=scale,
        captions=[captions[i] for i in order],
        cosines=cosines[order],
        shares=(shares / shares.sum())[order],
    )


def built_in_captions(folder: Path) -> list[str]:
    """Captions for the model of a folder: one that knows few words brings its own.

    Raises:
      UserError: a model that knows few words, and lists no captions.
    """
    known = tokens.vocabulary(folder)
    if known is None:
        return list(CAPTIONS)
    captions = tokens.captions(folder)
    if len(captions) < 2:
        raise UserError(
            f"the CLIP in {folder} knows few words and lists no captions; give a file of your own with"
            f" --captions, one a line, of the words it knows: {', '.join(known)}"
        )
    return captions


def read_captions(file: str | Path) -> list[str]:
    """Captions, one a line; blank lines and repeated captions are passed over.

    Raises:
      UserError: a file that cannot be read, or holds fewer than two.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--captions={file}: cannot be read ({error}); give a text file") from error
    captions = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if len(captions) < 2:
        raise UserError(
            f"--captions={file}: holds {len(captions)} captions; a ranking takes two or more, one a line"
        )
    return captions
