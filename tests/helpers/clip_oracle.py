"""A CLIP for tests: small random checkpoints in the layout of transformers, and a float64 forward pass.

The forward pass is written from the published architecture, on the PyTorch tensors as they lie in the file,
with plain NumPy: it shares no code with what it checks.
"""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.special import erf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ("a", "red", "blue", "sphere", "cube", "on", "top", "of")
MEAN = (0.48145466, 0.4578275, 0.40821073)
SD = (0.26862954, 0.26130258, 0.27577711)
EPS = 1e-5


def config(**changes):
    """A config.json: image 20 px of which patch 8 leaves 4 unseen, 9 tokens of text, 10 dimensions."""
    raw = {
        "model_type": "clip",
        "projection_dim": 10,
        "text_config": {
            "hidden_size": 16,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 9,
            "vocab_size": len(WORDS) + 3,
            "hidden_act": changes.get("hidden_act", "quick_gelu"),
            "eos_token_id": changes.get("eos_token_id", 2),
        },
        "vision_config": {
            "hidden_size": 24,
            "intermediate_size": 56,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "image_size": 20,
            "patch_size": 8,
            "hidden_act": changes.get("hidden_act", "quick_gelu"),
        },
    }
    return raw


def random_tensors(raw, seed=0):
    """PyTorch names -> float32 arrays of the size that makes every part of the network matter."""
    rng = np.random.default_rng(seed)
    tensors = {}

    def draw(name, *shape, sd, mean=0.0):
        tensors[name] = np.asarray(mean + sd * rng.standard_normal(shape), np.float32)

    def norm(name, width):
        draw(f"{name}.weight", width, sd=0.3, mean=1.0)
        draw(f"{name}.bias", width, sd=0.3)

    def linear(name, width_in, width_out):
        draw(f"{name}.weight", width_out, width_in, sd=1.5 / np.sqrt(width_in))
        draw(f"{name}.bias", width_out, sd=0.3)

    for side in ("text", "vision"):
        part = raw[f"{side}_config"]
        width, inner = part["hidden_size"], part["intermediate_size"]
        for i in range(part["num_hidden_layers"]):
            layer = f"{side}_model.encoder.layers.{i}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                linear(f"{layer}.self_attn.{name}", width, width)
            linear(f"{layer}.mlp.fc1", width, inner)
            linear(f"{layer}.mlp.fc2", inner, width)
            norm(f"{layer}.layer_norm1", width)
            norm(f"{layer}.layer_norm2", width)
    d, text, vision = raw["projection_dim"], raw["text_config"], raw["vision_config"]
    width, patch = vision["hidden_size"], vision["patch_size"]
    patches = (vision["image_size"] // patch) ** 2
    draw("vision_model.embeddings.class_embedding", width, sd=0.5)
    draw(
        "vision_model.embeddings.patch_embedding.weight", width, 3, patch, patch, sd=1 / np.sqrt(3 * patch**2)
    )
    draw("vision_model.embeddings.position_embedding.weight", patches + 1, width, sd=0.5)
    norm("vision_model.pre_layrnorm", width)
    norm("vision_model.post_layernorm", width)
    draw("visual_projection.weight", d, width, sd=1 / np.sqrt(width))
    width = text["hidden_size"]
    draw("text_model.embeddings.token_embedding.weight", text["vocab_size"], width, sd=0.5)
    draw("text_model.embeddings.position_embedding.weight", text["max_position_embeddings"], width, sd=0.5)
    norm("text_model.final_layer_norm", width)
    draw("text_projection.weight", d, width, sd=1 / np.sqrt(width))
    tensors["logit_scale"] = np.asarray(2.6, np.float32)
    return tensors


def word_tokenizer(words=WORDS, vocab_size=None):
    """One token a word: 0 unknown, then the words, then start and end, which has the highest id.

    A `vocab_size` spreads the words over that many ids, with words that nobody uses between them.
    """
    vocab_size = vocab_size or len(words) + 3
    step = (vocab_size - 3) // len(words)
    by_id = {step * (i + 1): word for i, word in enumerate(words)}
    ids = {"[UNK]": 0, **{by_id.get(i, f"unused{i}"): i for i in range(1, vocab_size - 2)}}
    start, end = vocab_size - 2, vocab_size - 1
    tokenizer = Tokenizer(models.WordLevel({**ids, "<start>": start, "<end>": end}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    return tokenizer


def write_checkpoint(folder, raw=None, tensors=None, *, vocabulary=None, preprocessor=None):
    """Writes a complete folder and returns (folder, config, tensors)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    raw = raw or config()
    tensors = random_tensors(raw) if tensors is None else tensors
    (folder / "config.json").write_text(json.dumps(raw))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    word_tokenizer().save(str(folder / "tokenizer.json"))
    if vocabulary:
        (folder / "vocabulary.json").write_text(json.dumps({"words": list(vocabulary)}))
    if preprocessor:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder, raw, tensors


def _norm(t, name, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPS) * t[f"{name}.weight"] + t[f"{name}.bias"]


def _linear(t, name, x):
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def _activate(kind, x):
    if kind == "quick_gelu":
        return x / (1 + np.exp(-1.702 * x))
    assert kind == "gelu"
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def _attend(t, name, x, heads, causal):
    """x [tokens, width]; one head and one token at a time."""
    q, k, v = (_linear(t, f"{name}.{part}", x) for part in ("q_proj", "k_proj", "v_proj"))
    tokens, width = x.shape
    size = width // heads
    mixed = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        for i in range(tokens):
            seen = i + 1 if causal else tokens
            score = k[:seen, part] @ q[i, part] / np.sqrt(size)
            weight = np.exp(score - score.max())
            mixed[i, part] = (weight / weight.sum()) @ v[:seen, part]
    return _linear(t, f"{name}.out_proj", mixed)


def _encoder(t, side, part, x, *, causal):
    for i in range(part["num_hidden_layers"]):
        layer = f"{side}_model.encoder.layers.{i}"
        heads = part["num_attention_heads"]
        x = x + _attend(t, f"{layer}.self_attn", _norm(t, f"{layer}.layer_norm1", x), heads, causal)
        hidden = _linear(t, f"{layer}.mlp.fc1", _norm(t, f"{layer}.layer_norm2", x))
        x = x + _linear(t, f"{layer}.mlp.fc2", _activate(part["hidden_act"], hidden))
    return x


def _double(tensors):
    return {name: np.asarray(array, np.float64) for name, array in tensors.items()}


def image_embedding(raw, tensors, image, mean=MEAN, sd=SD):
    """[s, s, 3] in [0, 1] -> [d], unit length, float64."""
    t, part = _double(tensors), raw["vision_config"]
    image = (np.asarray(image, np.float64) - np.array(mean)) / np.array(sd)
    patch, name = part["patch_size"], "vision_model.embeddings"
    tokens = [t[f"{name}.class_embedding"]]
    for row in range(part["image_size"] // patch):
        for column in range(part["image_size"] // patch):
            tile = image[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
            tokens.append(np.einsum("hwc,ochw->o", tile, t[f"{name}.patch_embedding.weight"]))
    x = np.stack(tokens) + t[f"{name}.position_embedding.weight"]
    x = _encoder(t, "vision", part, _norm(t, "vision_model.pre_layrnorm", x), causal=False)
    feature = t["visual_projection.weight"] @ _norm(t, "vision_model.post_layernorm", x[0])
    return feature / np.linalg.norm(feature)


def text_embedding(raw, tensors, ids):
    """Token ids of one prompt, start to end, no filling -> [d], unit length, float64."""
    t, name = _double(tensors), "text_model.embeddings"
    x = t[f"{name}.token_embedding.weight"][ids] + t[f"{name}.position_embedding.weight"][: len(ids)]
    x = _encoder(t, "text", raw["text_config"], x, causal=True)
    feature = t["text_projection.weight"] @ _norm(t, "text_model.final_layer_norm", x[-1])
    return feature / np.linalg.norm(feature)
