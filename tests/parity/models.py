"""The models of the table of names at their full sizes, and checkpoints of them with random weights."""

import dataclasses
from pathlib import Path

import numpy as np
from helpers import clip_oracle, openclip_checkpoints

PROMPTS = ("a red sphere", "blue cube", "a blue sphere on top of a red cube")
TOKENS, VOCABULARY = 77, 49408
# Of the ReLUs from their corner, standard deviations; `docs/parity.md` says what a smaller one does.
MARGIN = 4


@dataclasses.dataclass(frozen=True)
class Model:
    """A row of the table.

    Attributes:
      layout: of its folder, "transformers" or "open_clip".
      raw: what stands in the config of the folder.
      published: parameters of the released model, in millions, both towers.
    """

    name: str
    layout: str
    raw: dict
    published: float

    @property
    def activation(self):
        if self.layout == "transformers":
            return self.raw["vision_config"]["hidden_act"]
        return "quick_gelu" if self.raw["model_cfg"].get("quick_gelu") else "gelu"


def _transformers(name, published, *, d, layers, width, patch, size=224, hidden_act="quick_gelu"):
    text_width = {512: 512, 768: 768}[d]
    raw = {
        "model_type": "clip",
        "projection_dim": d,
        "text_config": {
            "hidden_size": text_width,
            "intermediate_size": 4 * text_width,
            "num_hidden_layers": 12,
            "num_attention_heads": text_width // 64,
            "max_position_embeddings": TOKENS,
            "vocab_size": VOCABULARY,
            "hidden_act": hidden_act,
            "eos_token_id": VOCABULARY - 1,
        },
        "vision_config": {
            "hidden_size": width,
            "intermediate_size": 4 * width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 64,
            "image_size": size,
            "patch_size": patch,
            "hidden_act": hidden_act,
        },
    }
    return Model(name, "transformers", raw, published)


def _open_clip(name, published, *, d, layers, width, text_width, size, patch=None, **model):
    text = {"context_length": TOKENS, "vocab_size": VOCABULARY, "width": text_width}
    text |= {"heads": text_width // 64, "layers": 12}
    vision = {"image_size": size, "layers": layers, "width": width, "patch_size": patch}
    pixels = {"mean": list(clip_oracle.MEAN), "std": list(clip_oracle.SD)}
    raw = openclip_checkpoints.config(vision, embed_dim=d, text=text, preprocess=pixels, **model)
    return Model(name, "open_clip", raw, published)


_BASE = {"d": 512, "layers": 12, "width": 768}
_LARGE = {"d": 768, "layers": 24, "width": 1024, "patch": 14}
_OPENAI = {"quick_gelu": True}
_ROWS = (
    _transformers("ViT-B/32", 151.28, **_BASE, patch=32),
    _transformers("ViT-B/16", 149.62, **_BASE, patch=16),
    _transformers("ViT-L/14", 427.62, **_LARGE),
    _transformers("ViT-L/14@336px", 427.94, **_LARGE, size=336),
    _open_clip("RN50", 102.01, d=1024, layers=[3, 4, 6, 3], width=64, text_width=512, size=224, **_OPENAI),
    _open_clip("RN101", 119.69, d=512, layers=[3, 4, 23, 3], width=64, text_width=512, size=224, **_OPENAI),
    _open_clip("RN50x4", 178.3, d=640, layers=[4, 6, 10, 6], width=80, text_width=640, size=288, **_OPENAI),
    _open_clip("RN50x16", 290.98, d=768, layers=[6, 8, 18, 8], width=96, text_width=768, size=384, **_OPENAI),
    _transformers("ViT-B-32:laion2b", 151.28, **_BASE, patch=32, hidden_act="gelu"),
    _transformers("ViT-B-16:laion2b", 149.62, **_BASE, patch=16, hidden_act="gelu"),
    _transformers("ViT-L-14:laion2b", 427.62, **_LARGE, hidden_act="gelu"),
    _open_clip(
        "ViT-B-16-plus-240:laion400m", 208.38, d=640, layers=12, width=896, text_width=640, size=240, patch=16
    ),
)
MODELS = {model.name: model for model in _ROWS}


def random_tensors(model):
    """PyTorch tensors of both towers, as they lie in the file."""
    if model.layout == "transformers":
        return clip_oracle.random_tensors(model.raw)
    return openclip_checkpoints.random_tensors(model.raw, margin=MARGIN)[0]


def write(model, folder, tensors):
    """Writes the folder and returns the bytes of its weights."""
    if model.layout == "transformers":
        clip_oracle.write_checkpoint(folder, model.raw, tensors)
        clip_oracle.word_tokenizer(vocab_size=VOCABULARY).save(str(Path(folder) / "tokenizer.json"))
    else:
        openclip_checkpoints.write_folder(folder, model.raw, tensors)
    return sum(file.stat().st_size for file in Path(folder).glob("*.safetensors"))


def pictures(n, size, seed=0):
    """Random images [n, size, size, 3] in [0, 1]: 6 x 6 patches of colour under noise."""
    rng = np.random.default_rng(seed)
    patches = rng.uniform(size=(n, 6, 6, 3)).repeat(-(-size // 6), 1).repeat(-(-size // 6), 2)
    noise = rng.uniform(size=(n, size, size, 3))
    return (0.7 * patches[:, :size, :size] + 0.3 * noise).astype(np.float32)
