"""Every key of a run with its unit, its default and where the default comes from.

The other files in this folder state only differences. Any key can be set on the command line:
`--config.loss.kl=0.1`. Sources: "paper" is "Understanding Pure CLIP Guidance for Voxel Grid NeRF Models"
(arXiv 2209.15172), "code" its released code, "Dream Fields" is arXiv 2112.01455, "ours" a choice made here.

Fractions. A point in time is stored as a fraction of `steps`, so that another `steps` moves all of them; the
paper's own step numbers (`_AT / 15000`) come out exactly at 15000 steps. With `schedule_steps` fractions
refer to that many steps instead, however long the run is: then they are plain step numbers, as in the
released code. Cadences that only write files (`log`, `checkpoint`, `preview`) are plain step counts.

Where the paper's text states a thing, it is the default; where it is silent, the released code is. The
variant `:released` of each config (`:low-released` and so on) turns every key on which the two differ to the
code.
"""

from ml_collections import ConfigDict

_OF = 15000  # the paper's number of iterations, to which its step numbers refer


def get_config(variant: str = "") -> ConfigDict:
    """Returns all keys with the paper's defaults (Vox_Exp, 224 x 224 px, 15,000 steps)."""
    if variant:
        raise ValueError(f"configs/base.py has no variant {variant!r}; leave it away")
    c = ConfigDict()
    c.prompt = ""  # what to make; required (ours)
    c.seed = 0  # base key of every random draw (ours)
    c.steps = _OF  # optimisation steps (paper)
    c.schedule_steps = 0  # steps that fractions refer to; 0 = `steps` (ours; code: plain step numbers)
    c.devices = 0  # local devices that a step runs on; 0 = all (ours)
    c.parallel = "split"  # they share the work of one step, "split"; or each has "views" of its own (ours)
    c.cache_dir = "auto"  # jax's compilation cache: "auto" = ~/.cache/voxjax, "" = none, or a folder (ours)

    c.field = _field()
    c.vox_imp = _vox_imp()
    c.dream_fields = _dream_fields()
    c.cameras = _cameras()
    c.progressive = _progressive()
    c.augment = _augment()
    c.prompts = _prompts()
    c.clip = _clip()
    c.clip2 = _clip2()
    c.loss = _loss()
    c.optimiser = _optimiser()

    c.log = ConfigDict()
    c.log.every = 50  # steps between fetches of the metrics; in between the device is never waited for (ours)
    # Two more metrics of Vox_Exp: mean size of the gradient of raw density and raw colour over all vertices.
    c.log.field_gradients = False  # (ours; paper, Figure 3)
    c.log.warn_after = 500  # steps of an empty or full scene before a warning in words (ours)
    c.checkpoint = ConfigDict()
    c.checkpoint.every = 1000  # steps between checkpoints (ours)
    c.checkpoint.keep = 3  # checkpoints kept, the latest ones (ours)
    c.output = ConfigDict()
    c.output.preview_every = 1000  # steps between preview images; 0 = only at the end (ours)
    c.output.preview_width_px = 128  # width of one picture in preview.png (ours)
    c.output.eval_width_px = 512  # width of eval.png (ours; the view itself: Dream Fields)
    c.output.turntable_width_px = 512  # width of the turntables (code)
    c.output.turntable_frames = 40  # azimuths of the turntables (code)
    c.output.turntable_fps = 15  # pictures per second of the turntables (ours)
    c.output.mesh = True  # end with mesh.glb, the surface as other programs open it (ours)
    c.output.report = True  # end with report.html, the run on one page (ours)
    return c


def _field() -> ConfigDict:
    f = ConfigDict()
    f.name = "vox_exp"  # which field: vox_exp, vox_imp (paper) or dream_fields (Dream Fields)
    f.side = 140  # cube root of the final number of voxels: 140^3 (paper)
    f.alpha_init = 1e-6  # opacity of one voxel length at the start, sets the density shift (paper)
    f.learn_shift = True  # density shift is trained (paper's text; False = code)
    f.mask_near_cameras = True  # no density of Vox_Exp within near of a training camera (code)
    f.box = "frustum"  # "frustum": the region that all training cameras see (code); "cube": half_width (ours)
    f.half_width = 1.2  # scene units, half the side of the box when box is "cube" (ours)
    f.step_size_voxels = 0.5  # voxels between samples on a ray (paper)
    return f


def _vox_imp() -> ConfigDict:
    """Only for field.name = "vox_imp"."""
    m = ConfigDict()
    m.width = 128  # of the hidden layers of the density and the colour network (paper)
    m.n_layers = 3  # linear layers of each (paper)
    m.n_frequencies = 10  # octaves of the positional encoding (paper: 63 channels)
    m.slab = 65536  # vertices evaluated at a time: less is less memory (ours)
    m.skip = False  # vertices that are off are not evaluated, and empty to the priors (ours; code: no)
    return m


def _dream_fields() -> ConfigDict:
    """Only for field.name = "dream_fields"."""
    m = ConfigDict()
    m.width = 128  # of the layers between the residual blocks (Dream Fields)
    m.hidden = 256  # of the layers inside them (Dream Fields)
    m.n_blocks = 4  # residual blocks (Dream Fields)
    # Directions of the encoding: "released" (Dream Fields' code: one fixed set, most of them short),
    # "fourier" (its text: isotropic, by the seed), or "axis": octaves of the axes.
    m.encoding = "released"  # (Dream Fields' code)
    m.n_features = 128  # random directions of the first two (Dream Fields)
    m.max_exponent = 8.0  # their magnitudes are at most 2 to this (Dream Fields)
    m.integrate = True  # integrated positional encoding; False: of the sample's centre (Dream Fields)
    m.section = "released"  # Gaussian of a section: "released" (Dream Fields' code), "mipnerf" (text)
    m.widen = (
        0.0  # fraction of steps in which Gaussians shrink to their size (Dream Fields' code: 1000 steps)
    )
    m.jitter_ends = True  # the two ends of the samples on a ray move too (Dream Fields' code; text: no)
    m.n_samples = 192  # jittered samples on a training ray (Dream Fields)
    m.n_test_samples = 256  # samples over the box's edge length in pictures (Dream Fields: 256 lq, 512 hq)
    # The scene's origin: "follow" the object (Dream Fields' text), move "pictures" only (its code, whose
    # compiled step kept the first value), or "fixed" (its ablation).
    m.origin = "follow"  # (Dream Fields' text)
    m.origin_decay = 0.999  # of the origin's moving average (Dream Fields)
    m.chunk = 32768  # samples evaluated at a time: less is less memory (ours)
    return m


def _cameras() -> ConfigDict:
    c = ConfigDict()
    c.width_px = 224  # width and height of a training render (paper: 168 with 10k steps, 224 with 15k)
    c.views_per_step = 1  # camera views per step (paper)
    # Parts in which the rays of a step are rendered, one after another: the same object in less memory and
    # more time. 0 = by an accelerator's memory (ours)
    c.ray_parts = 0
    c.azimuth_deg = (0.0, 360.0)  # degrees, uniform (paper)
    c.elevation_deg = (30.0, 30.0)  # degrees above the horizon, uniform between the two (paper: fixed)
    c.radius = 4.0  # scene units from the origin; near and far are radius -/+ sqrt(3) (paper)
    c.focal_multiplier = 1.0  # times the Blender camera's focal length (code; Dream Fields trains with 1.2)
    return c


def _progressive() -> ConfigDict:
    p = ConfigDict()
    # Fractions of steps at which the number of voxels doubles; the start is final / 2^len (paper, section 4).
    p.boundaries = (5000 / _OF, 7000 / _OF, 9000 / _OF, 11000 / _OF)
    p.density_drop = 1.0  # subtracted from the raw density at each rescaling of Vox_Exp (code, as in DVGO)
    p.occupancy_every = 1000 / _OF  # fraction of steps between occupancy tests; 0 = never (code)
    p.occupancy_offset = 500 / _OF  # fraction of steps before the first of them (code)
    p.occupancy_threshold = 1e-7  # alpha at or below which a vertex is switched off for good (code)
    return p


def _augment() -> ConfigDict:
    a = ConfigDict()
    a.diff = True  # DiffAug: colour, translation, cutout (paper)
    a.back = True  # BackAug: random backgrounds (paper, Dream Fields)
    a.persp = True  # PerspAug: random perspective (paper: on for Vox_Exp, off for Vox_Imp)
    a.crop = True  # random crop before the resize to CLIP's resolution (code)
    a.n_diff = 8  # DiffAug draws per view (paper: 8 x 8 = 64 images)
    a.n_back = 8  # backgrounds per view (paper)
    a.share_backgrounds = True  # each behind all DiffAug copies of its view (code); False: its own (ours)
    # What lies under the object while DiffAug sees it: "nothing" (paper's text), or "white", with the
    # background added on top (code).
    a.under = "nothing"  # (paper's text)
    # "premultiplied": colour + T * background (paper), "darkened": colour * (1 - T) + T * background.
    a.composite = "premultiplied"  # (paper; Dream Fields' code: the other)
    a.background_at = "render"  # size at which backgrounds are made (code), "clip": CLIP's (Dream Fields)
    a.brightness = 0.5  # largest value added to or taken from every channel (code)
    a.saturation = (0.0, 2.0)  # factor on the distance from the pixel's mean over channels (code)
    a.contrast = (0.5, 1.5)  # factor on the distance from the mean of the image (code)
    a.translation = 0.125  # largest shift, share of each side; 0 = none (code)
    a.cutout = 0.25  # side of the hole, share of each side; 0 = none (code)
    a.batch_resize = False  # one random change of size per step in DiffAug (paper's text: none; True = code)
    a.zoom = (0.8, 1.2)  # its range (code)
    a.move_transmittance = True  # geometric DiffAug moves opacity with colour (ours; False = code)
    a.back_probabilities = (1 / 3, 1 / 3, 1 / 3)  # of checkerboard, noise, smooth noise (Dream Fields)
    a.blur_sd = (0.0, 10.0)  # pixels, standard deviation of the background's blur (Dream Fields)
    a.blur_vertical_sd = 0.0  # pixels, of the blur along columns; 0 = as drawn (paper's text; 4.0 = code)
    a.blur_reflect = True  # mirrored borders in that blur (code; False = Dream Fields' zeros)
    a.background = 1.0  # grey level where back is False; 1 = white (ours)
    a.distortion = 0.6  # strength of the random perspective, share of half a side (paper)
    a.persp_probability = 1.0  # share of the images with a random perspective (paper)
    a.crop_px = 16  # pixels by which the crop is smaller than the image (code)
    a.clip_to_unit = False  # clip the composite to [0, 1] (code: no)
    a.shared_background_draws = False  # blur and spectrum drawn once per step (paper: no; True = code)
    a.shared_view_draws = False  # perspective and crop drawn once per step (paper: no; True = code)
    return a


def _clip() -> ConfigDict:
    c = ConfigDict()
    # A name of `python -m voxjax.guidance list`, a hub name, or a folder; or "auto": the small CLIP that
    # ships and knows the prompt's words.
    c.model = "ViT-B/16"  # (paper: several)
    c.path = ""  # folder to read `model` from instead of looking its name up; "" = look up (ours)
    c.weight = 1.0  # of its term in the loss (paper, Eq. 7)
    c.start = 0.0  # fraction of steps from which it guides (paper)
    c.end = 1.0  # fraction of steps at which it stops (paper)
    c.dtype = "auto"  # compute type: "auto" = bfloat16 on GPU and float32 on CPU, or either name (ours)
    c.objective = "cosine"  # "cosine" (paper) or "contrastive": softmax against `negatives` (ours)
    c.negatives = ()  # captions that the images must not match, for the contrastive objective (ours)
    c.scale = 30.0  # factor on the cosines inside the contrastive softmax (ours)
    c.more = ()  # more CLIPs: "name weight" or "name weight start end" each, ("RN50 0.3 0 0.5",) (ours)
    c.micro_batch = (
        0  # images that a CLIP sees at a time; 0 = as many as the device's free memory holds (ours)
    )
    c.remat = False  # keep only the layers' inputs for the backward pass: slower, less memory (ours)
    return c


def _clip2() -> ConfigDict:
    """The second CLIP of an ensemble (paper, Eq. 6)."""
    c = ConfigDict()
    c.model = ""  # "" = none (paper: ViT-L/14 in the ensembles)
    c.path = ""  # as clip.path (ours)
    c.weight = 0.5  # of its term in the loss (paper, Eq. 7)
    c.start = 5000 / _OF  # fraction of steps from which it guides (paper)
    c.end = 1.0  # fraction of steps at which it stops (paper)
    return c


def _prompts() -> ConfigDict:
    """What the images are compared with, besides `prompt`."""
    p = ConfigDict()
    p.weight = 1.0  # of `prompt` itself; 1 for the contrastive objective (ours)
    p.extra = ()  # more prompts, each "text:weight"; a negative weight pushes away (ours)
    p.templates = ()  # such as ("a photo of {}", "a toy {}"): averaged as embeddings; () = as typed (ours)
    p.view_dependent = False  # add "front view", "side view", "back view", "overhead view" by camera (ours)
    p.image = ""  # path of a picture to be like; "" = none (ours)
    p.image_weight = 1.0  # of that picture (ours)
    return p


def _loss() -> ConfigDict:
    w = ConfigDict()
    w.transmittance = 0.5  # weight of -min(tau, mean transmittance) (paper, Dream Fields)
    w.opacity_scale = 1.0  # factor on the opacity target (Dream Fields: by focal length and radius)
    # The opacity target falls exponentially from the first to the second; tau = 1 - target.
    w.opacity_start = 0.5  # opacity target at step 0 (Dream Fields)
    w.opacity_end = 0.1  # opacity target after the annealing (Dream Fields)
    w.opacity_anneal = 500 / _OF  # fraction of steps the annealing takes (Dream Fields: 500 steps)
    w.kl = 0.05  # weight of the sphere prior (paper: Vox_Exp 0.05, Vox_Imp 0.2)
    w.kl_radius = 1.0  # scene units, radius of the prior's sphere (paper)
    w.kl_window = (0.0, 8000 / _OF)  # fractions of steps between which it is on (paper)
    w.tv = 0.1  # weight of total variation (paper: Vox_Exp 0.1, Vox_Imp 0.2)
    w.tv_window = (5000 / _OF, 13000 / _OF)  # fractions of steps between which it is on (paper)
    w.entropy = 0.01  # weight of the background entropy (code)
    return w


def _optimiser() -> ConfigDict:
    o = ConfigDict()
    o.rate_density = 0.1  # Adam's rate of the raw density grid (paper)
    o.rate_colour = 0.1  # Adam's rate of the raw colour grid (paper)
    # Adam's rate of the density shift; the paper gives none. At this one it moves by at most 1.5 in a run, so
    # that untouched space can still be culled; at a hundred times as much three quarters of a grid stay on.
    o.rate_shift = 1e-4  # (ours)
    o.rate_network = 5e-3  # Adam's rate of MLP weights (paper: Vox_Imp)
    o.beta1 = 0.9  # share of Adam's first moment kept per update (code)
    o.beta2 = 0.99  # share of the second moment kept per update (code)
    o.eps = 1e-8  # added to the root of the second moment (code)
    o.eps_uncorrected = True  # that root is of the moment before its bias correction (code; Adam: after)
    o.warmup = 0.0  # fraction of steps in which all rates rise to their value (Dream Fields: 0.15)
    o.warmup_start = 0.1  # share of the rates at step 0, where warmup is not 0 (Dream Fields)
    o.warmup_shape = "exponential"  # of that rise (Dream Fields' code), or "linear" (its text)
    o.tenfold_decay = 20000 / _OF  # fraction of steps in which the rates fall tenfold (code); 0 = constant
    o.max_bad_steps = 20  # non-finite steps in a row that stop the run (ours)
    return o


def read_variant(
    variant: str, names: tuple[str, ...], *, file: str, words: tuple[str, ...] = ("released",)
) -> tuple[str, str]:
    """Splits a variant such as "low-released" into a name and a word; either may be left away.

    Args:
      variant: as typed behind the colon.
      names: that there are; the first is the default.
      file: of the config, for the message.
      words: that may follow.

    Returns:
      (name, word); the word is "" without one.

    Raises:
      ValueError: neither.
    """
    name, word = (variant, "") if variant not in words else (names[0], variant)
    if not word and "-" in variant:
        name, _, word = variant.rpartition("-")
    if name not in names or word not in ("", *words):
        raise ValueError(
            f"unknown variant {variant!r} of {file}; it has {', '.join((*names, *words))}, and each name "
            f"with {' or '.join(f'-{each}' for each in words)}"
        )
    return name, word


def release(c: ConfigDict) -> None:
    """Turns every key on which the text and the released code of Pure CLIP guidance differ to the code."""
    c.schedule_steps = c.steps  # (code) plain step numbers
    c.field.learn_shift = False  # (code)
    c.augment.under = "white"  # (code)
    c.augment.move_transmittance = False  # (code)
    c.augment.batch_resize = True  # (code)
    c.augment.share_backgrounds = True  # (code)
    c.augment.shared_background_draws = True  # (code)
    c.augment.shared_view_draws = True  # (code)
    c.augment.blur_vertical_sd = 4.0  # (code) a border mode that stands in the place of this number
