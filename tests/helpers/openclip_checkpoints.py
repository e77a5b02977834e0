"""Random CLIPs in the layout of open_clip, of any size, and a float64 forward pass of a ResNet.

The forward pass is written from the published architecture, on the tensors as they lie in the file.
"""

import json
from pathlib import Path

import numpy as np
from helpers import clip_oracle
from safetensors.numpy import save_file

EPS = 1e-5
PIXELS = {"mean": [0.3, 0.45, 0.6], "std": [0.4, 0.3, 0.5], "interpolation": "bicubic"}


def config(vision, *, embed_dim=10, text=None, preprocess=None, **model):
    """An open_clip_config.json; the text part takes the words of `clip_oracle` and 9 tokens."""
    text = text or {
        "context_length": 9,
        "vocab_size": len(clip_oracle.WORDS) + 3,
        "width": 16,
        "heads": 2,
        "layers": 2,
    }
    model = {"embed_dim": embed_dim, "vision_cfg": vision, "text_cfg": text, **model}
    return {"model_cfg": model, **({"preprocess_cfg": preprocess} if preprocess else {})}


def small_resnet():
    """One block a stage, 64 px: the last map has 2 x 2 cells and 256 channels."""
    vision = {"image_size": 64, "layers": [1, 2, 1, 1], "width": 8, "patch_size": None}
    return config(vision, quick_gelu=True, preprocess=PIXELS)


def small_vit(**model):
    vision = {"image_size": 20, "layers": 2, "width": 24, "head_width": 8, "patch_size": 8}
    return config(vision, **model)


def transformers_config(raw):
    """What `clip_oracle` needs to know of the same model; the vision part holds for a ViT only."""
    model = raw["model_cfg"]
    text, vision = model["text_cfg"], model["vision_cfg"]
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    if isinstance(vision["layers"], list):
        vision = {"width": 8, "layers": 0, "head_width": 8, "image_size": 1, "patch_size": 1}
    return {
        "model_type": "clip",
        "projection_dim": model["embed_dim"],
        "text_config": {
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
            "hidden_act": activation,
        },
        "vision_config": {
            "hidden_size": vision["width"],
            "intermediate_size": 4 * vision["width"],
            "num_hidden_layers": vision["layers"],
            "num_attention_heads": vision["width"] // vision.get("head_width", 64),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            "hidden_act": activation,
        },
    }


def pack(tensors, *, vit):
    """Tensors of `clip_oracle.random_tensors` by the names and in the forms of open_clip."""
    packed = {"logit_scale": tensors["logit_scale"]}
    sides = {"text": "", "vision": "visual."} if vit else {"text": ""}
    for side, prefix in sides.items():
        tower = f"{side}_model."
        inside = {k.removeprefix(tower): v for k, v in tensors.items() if k.startswith(tower)}
        layers = sum(name.endswith("mlp.fc1.bias") for name in inside)
        for i in range(layers):
            there, here = f"{prefix}transformer.resblocks.{i}", f"encoder.layers.{i}"
            for leaf in ("weight", "bias"):
                parts = [inside[f"{here}.self_attn.{part}_proj.{leaf}"] for part in "qkv"]
                packed[f"{there}.attn.in_proj_{leaf}"] = np.concatenate(parts)
                packed[f"{there}.attn.out_proj.{leaf}"] = inside[f"{here}.self_attn.out_proj.{leaf}"]
                packed[f"{there}.mlp.c_fc.{leaf}"] = inside[f"{here}.mlp.fc1.{leaf}"]
                packed[f"{there}.mlp.c_proj.{leaf}"] = inside[f"{here}.mlp.fc2.{leaf}"]
                packed[f"{there}.ln_1.{leaf}"] = inside[f"{here}.layer_norm1.{leaf}"]
                packed[f"{there}.ln_2.{leaf}"] = inside[f"{here}.layer_norm2.{leaf}"]
        packed[f"{prefix}positional_embedding"] = inside["embeddings.position_embedding.weight"]
    packed["token_embedding.weight"] = tensors["text_model.embeddings.token_embedding.weight"]
    packed["text_projection"] = np.ascontiguousarray(tensors["text_projection.weight"].T)
    for leaf in ("weight", "bias"):
        packed[f"ln_final.{leaf}"] = tensors[f"text_model.final_layer_norm.{leaf}"]
    if vit:
        packed["visual.class_embedding"] = tensors["vision_model.embeddings.class_embedding"]
        packed["visual.conv1.weight"] = tensors["vision_model.embeddings.patch_embedding.weight"]
        packed["visual.proj"] = np.ascontiguousarray(tensors["visual_projection.weight"].T)
        for leaf in ("weight", "bias"):
            packed[f"visual.ln_pre.{leaf}"] = tensors[f"vision_model.pre_layrnorm.{leaf}"]
            packed[f"visual.ln_post.{leaf}"] = tensors[f"vision_model.post_layernorm.{leaf}"]
    return packed


def resnet_tensors(raw, seed=0, margin=0.5):
    """`visual.*` of a ResNet: sizes at which signals neither die nor blow up, no statistic trivial.

    The norms' biases lie `margin` standard deviations from 0, so that every channel is rather on or rather
    off. Where many ReLUs stand near their corner, as they do in a deep network with a small margin, rounding
    alone turns some of them over, and the gradient with them.
    """
    rng = np.random.default_rng(seed)
    model, tensors = raw["model_cfg"], {}
    vision = model["vision_cfg"]
    width, d = vision["width"], model["embed_dim"]

    def normal(*shape, sd=1.0, mean=0.0):
        return mean + np.float32(sd) * rng.standard_normal(shape, np.float32)

    def sides(channels):
        return rng.choice(np.float32([-margin, margin]), channels)

    def convolution(name, norm, channels_in, channels, size, scale=1.0, side=None):
        fan_in = channels_in * size * size
        tensors[f"visual.{name}.weight"] = normal(channels, channels_in, size, size, sd=(2 / fan_in) ** 0.5)
        tensors[f"visual.{norm}.weight"] = scale * normal(channels, sd=0.2, mean=1.0)
        side = sides(channels) if side is None else side
        tensors[f"visual.{norm}.bias"] = scale * (side + normal(channels, sd=0.2))
        tensors[f"visual.{norm}.running_mean"] = normal(channels, sd=0.2)
        tensors[f"visual.{norm}.running_var"] = rng.uniform(0.6, 1.6, channels).astype(np.float32)
        tensors[f"visual.{norm}.num_batches_tracked"] = np.asarray(7, np.int64)

    convolution("conv1", "bn1", 3, width // 2, 3)
    convolution("conv2", "bn2", width // 2, width // 2, 3)
    convolution("conv3", "bn3", width // 2, width, 3)
    channels = width
    for stage, blocks in enumerate(vision["layers"]):
        inner = width << stage
        # Of all blocks, as they add up: sides that differ would meet at 0. What is on need not be pushed on.
        side = sides(4 * inner)
        for i in range(blocks):
            block = f"layer{stage + 1}.{i}"
            convolution(f"{block}.conv1", f"{block}.bn1", channels, inner, 1)
            convolution(f"{block}.conv2", f"{block}.bn2", inner, inner, 3)
            convolution(f"{block}.conv3", f"{block}.bn3", inner, 4 * inner, 1, 0.2, np.minimum(side, 0))
            if i == 0:
                convolution(
                    f"{block}.downsample.0", f"{block}.downsample.1", channels, 4 * inner, 1, side=side
                )
            channels = 4 * inner
    for part, size in (("q", channels), ("k", channels), ("v", channels), ("c", d)):
        tensors[f"visual.attnpool.{part}_proj.weight"] = normal(size, channels, sd=channels**-0.5)
        tensors[f"visual.attnpool.{part}_proj.bias"] = normal(size, sd=0.2)
    cells = (vision["image_size"] // 32) ** 2
    tensors["visual.attnpool.positional_embedding"] = normal(cells + 1, channels, sd=0.3)
    return tensors


def random_tensors(raw, seed=0, margin=0.5):
    """All tensors of an open_clip file, and the same text tower and ViT by transformers' names."""
    named = clip_oracle.random_tensors(transformers_config(raw), seed)
    resnet = isinstance(raw["model_cfg"]["vision_cfg"]["layers"], list)
    packed = pack(named, vit=not resnet)
    return {**packed, **(resnet_tensors(raw, seed + 1, margin) if resnet else {})}, named


def write_folder(folder, raw, tensors):
    """Writes a complete folder and returns it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(raw))
    save_file(tensors, folder / "open_clip_model.safetensors", metadata={"format": "pt"})
    vocab_size = raw["model_cfg"]["text_cfg"]["vocab_size"]
    clip_oracle.word_tokenizer(vocab_size=vocab_size).save(str(folder / "tokenizer.json"))
    return folder


def _convolve(t, conv, norm, x, stride=1):
    """x [c, h, w], zero border of half the kernel; then the batch norm of the running statistics."""
    weight = t[f"visual.{conv}.weight"]
    size = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    height, width = (1 + (side - 1) // stride for side in x.shape[1:])
    out = np.zeros((weight.shape[0], height, width))
    for dy in range(size):
        for dx in range(size):
            seen = padded[:, dy : dy + stride * height : stride, dx : dx + stride * width : stride]
            out += np.einsum("oc,chw->ohw", weight[:, :, dy, dx], seen[:, :height, :width])
    column = {leaf: t[f"visual.{norm}.{leaf}"][:, None, None] for leaf in ("weight", "bias")}
    mean, variance = (t[f"visual.{norm}.running_{leaf}"][:, None, None] for leaf in ("mean", "var"))
    return (out - mean) / np.sqrt(variance + EPS) * column["weight"] + column["bias"]


def _average(x, size):
    c, height, width = x.shape
    return x.reshape(c, height // size, size, width // size, size).mean((2, 4))


def _attention_pool(t, x, heads):
    """x [c, h, w] -> [d]; one head and one token at a time."""
    cells = x.reshape(x.shape[0], -1).T
    tokens = np.concatenate([cells.mean(0, keepdims=True), cells])
    tokens = tokens + t["visual.attnpool.positional_embedding"]

    def project(part, x):
        return t[f"visual.attnpool.{part}_proj.weight"] @ x + t[f"visual.attnpool.{part}_proj.bias"]

    query = project("q", tokens[0])
    keys, values = ([project(part, token) for token in tokens] for part in "kv")
    size = x.shape[0] // heads
    pooled = np.zeros(x.shape[0])
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        score = np.array([query[part] @ key[part] for key in keys]) / np.sqrt(size)
        weight = np.exp(score - score.max())
        pooled[part] = sum(w * value[part] for w, value in zip(weight / weight.sum(), values, strict=True))
    return project("c", pooled)


def resnet_embedding(raw, tensors, image):
    """[s, s, 3] in [0, 1] -> [d], unit length, float64."""
    t = {name: np.asarray(array, np.float64) for name, array in tensors.items() if array.dtype.kind == "f"}
    vision, pixels = raw["model_cfg"]["vision_cfg"], raw["preprocess_cfg"]
    x = ((np.asarray(image, np.float64) - pixels["mean"]) / pixels["std"]).transpose(2, 0, 1)
    for i in (1, 2, 3):
        x = np.maximum(_convolve(t, f"conv{i}", f"bn{i}", x, stride=2 if i == 1 else 1), 0)
    x = _average(x, 2)
    for stage, blocks in enumerate(vision["layers"]):
        for i in range(blocks):
            block, shrink = f"layer{stage + 1}.{i}", 2 if stage and not i else 1
            out = np.maximum(_convolve(t, f"{block}.conv1", f"{block}.bn1", x), 0)
            out = _average(np.maximum(_convolve(t, f"{block}.conv2", f"{block}.bn2", out), 0), shrink)
            out = _convolve(t, f"{block}.conv3", f"{block}.bn3", out)
            if i == 0:
                x = _convolve(t, f"{block}.downsample.0", f"{block}.downsample.1", _average(x, shrink))
            x = np.maximum(out + x, 0)
    feature = _attention_pool(t, x, vision["width"] * 32 // 64)
    return feature / np.linalg.norm(feature)
