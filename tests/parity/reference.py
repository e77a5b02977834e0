"""The same checkpoints in PyTorch: transformers' CLIPModel, and the model of open_clip.

PyTorch has no part in voxjax; only this file imports it.
"""

import functools
import importlib
import importlib.util
import sys
import types
import unittest.mock

import numpy as np
import torch
from helpers import clip_oracle
from tokenizers import Tokenizer
from transformers import CLIPConfig, CLIPModel

from parity.models import TOKENS, VOCABULARY


def versions():
    """Name -> version of what is compared with."""
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "transformers", "open_clip_torch")}


@functools.cache
def _open_clip_model():
    """`open_clip.model`, without the package's `__init__`, which wants torchvision and data sets.

    Of torchvision it asks for one class, to freeze batch norms in training; a stand-in does for that.
    """
    stand_ins = {}
    if importlib.util.find_spec("torchvision") is None:
        names = ("torchvision", "torchvision.ops", "torchvision.ops.misc")
        stand_ins = {name: types.ModuleType(name) for name in names}
        stand_ins["torchvision.ops.misc"].FrozenBatchNorm2d = torch.nn.BatchNorm2d
    spec = importlib.util.find_spec("open_clip")
    package = types.ModuleType("open_clip")
    package.__path__ = list(spec.submodule_search_locations)
    with unittest.mock.patch.dict(sys.modules, {**stand_ins, "open_clip": package}):
        return importlib.import_module("open_clip.model")


def build(model, tensors):
    """The reference with these weights; every tensor must find its place."""
    state = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in tensors.items()}
    if model.layout == "transformers":
        made = CLIPModel(CLIPConfig.from_dict(model.raw))
    else:
        settings = dict(model.raw["model_cfg"])
        vision, text = settings.pop("vision_cfg"), settings.pop("text_cfg")
        made = _open_clip_model().CLIP(vision_cfg=vision, text_cfg=text, **settings)
    made.load_state_dict(state, strict=True)
    return made.eval().requires_grad_(False)


def calibrate(model, tensors, images):
    """Gives the batch norms of a ResNet the statistics of images, as training would.

    With statistics drawn at random almost nothing of the image is left at the end of a deep network, and
    the gradient is mostly rounding.

    Returns:
      The tensors, with the statistics that PyTorch took; of any model but a ResNet as they are.
    """
    if not any(name.endswith("running_var") for name in tensors):
        return tensors
    made = build(model, tensors)
    norms = [module for module in made.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # an average of all it sees
        norm.train()
    with torch.no_grad():
        made.encode_image(_normalised(torch.from_numpy(images)))
    return {name: tensor.numpy() for name, tensor in made.state_dict().items()}


def _normalised(pixels):
    mean, sd = torch.tensor(clip_oracle.MEAN), torch.tensor(clip_oracle.SD)
    return ((pixels - mean) / sd).permute(0, 3, 1, 2)


def _unit(features):
    return features / features.norm(dim=-1, keepdim=True)


def text_embeddings(model, made, prompts, tokenizer_file):
    """[p, d], unit length; padded as is the custom of each: with the end token, or with 0."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    fill = VOCABULARY - 1 if model.layout == "transformers" else 0
    ids = [tokenizer.encode(prompt).ids for prompt in prompts]
    ids = torch.tensor([row + [fill] * (TOKENS - len(row)) for row in ids])
    with torch.no_grad():
        if model.layout == "transformers":
            features = made.get_text_features(input_ids=ids)
        else:
            features = made.encode_text(ids)
    return _unit(features).numpy()


def image_embeddings(model, made, images, target):
    """Embeddings [n, d] of images [n, s, s, 3], and the gradient of the sum of their cosines to target."""
    pixels = torch.from_numpy(images).requires_grad_(True)
    normalised = _normalised(pixels)
    if model.layout == "transformers":
        features = made.get_image_features(pixel_values=normalised)
    else:
        features = made.encode_image(normalised)
    embeddings = _unit(features)
    (embeddings @ torch.from_numpy(target)).sum().backward()
    return embeddings.detach().numpy(), pixels.grad.numpy()
