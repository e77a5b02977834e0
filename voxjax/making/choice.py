"""Which config makes a prompt on a machine: a pure function of both, and the one line that says why."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from voxjax.config.naming import shipped_folder, split_spec
from voxjax.errors import UserError
from voxjax.making.options import (
    B32,
    DEMO,
    DOWNLOAD_MB,
    GIB,
    LARGE,
    LOW,
    RELATIVE_WORK,
    SMALL,
    SMALLEST,
    TWINS,
    Choice,
    Machine,
    Option,
)

if TYPE_CHECKING:  # guidance imports jax, which who only wants to know what there is to choose need not
    from voxjax.guidance.shipped import Fit

_NO_OTHER = "no other CLIP is in the cache and the hub does not answer"


def is_roomy(option: Option, free: int) -> bool:
    """Whether a config may be chosen unasked: what is reckoned twice over, and a GiB for XLA's own needs."""
    return 2 * option.needs + GIB <= free


def choose(prompt: str, small: Fit, quality: str, machine: Machine) -> Choice:
    """Chooses the config of a prompt.

    Args:
      prompt: what to make.
      small: which of the small CLIPs fits it, and the words that even that one does not know.
      quality: one of `QUALITIES`.
      machine: where.

    Raises:
      UserError: nothing here can make it; the line says what would.
    """
    if not small.unknown and (not machine.accelerator or quality == "draft"):
        return _demo(small.model, quality, machine, "which ships and knows every word of it")
    found = [
        (option, models) for option in _options(quality, machine) if (models := _models(option, machine))
    ]
    # What is here before what would have to be fetched, unless only the best will do.
    found.sort(key=lambda pair: quality != "best" and bool(set(pair[1]) - machine.cached))
    if found:
        return _real(*found[0], machine)
    spare = next((model for model in RELATIVE_WORK if model in machine.cached), None)
    if spare:
        option = next(option for option in _options(quality, machine) if option.models == (B32,))
        slower = dataclasses.replace(option, work=option.work * RELATIVE_WORK[spare])
        return _real(slower, (spare,), machine)
    if not small.unknown:
        why = f"which knows every word of it, as {_NO_OTHER}"
        return _demo(small.model, quality, machine, why)
    raise UserError(
        f"nothing here can make {prompt!r}: the small CLIPs that ship do not know "
        f"{', '.join(map(repr, small.unknown))} ({small.advice}), and {_NO_OTHER}; where there is a "
        f"network, `voxjax guidance fetch {B32}` once will do"
    )


def needs_network(prompt: str, small: Fit, quality: str, machine: Machine) -> bool:
    """Whether the choice depends on the hub's answering."""

    def outcome(online: bool) -> Choice | None:
        try:
            return choose(prompt, small, quality, dataclasses.replace(machine, online=online))
        except UserError:
            return None

    return outcome(False) != outcome(True)


def _options(quality: str, machine: Machine) -> list[Option]:
    """What the machine's memory can hold, the first choice first."""
    small = SMALL[quality]
    if not machine.accelerator:
        return [small]
    roomy = [option for option in LARGE[quality] if is_roomy(option, machine.free)]
    # Less than what is comfortable still trains, in micro-batches.
    return roomy or ([LOW] if LOW.needs <= machine.free else [small])


def _models(option: Option, machine: Machine) -> tuple[str, ...]:
    """The CLIPs that an option would be guided by here; empty if some of them cannot be had."""
    models = []
    for model in option.models:
        twin = TWINS[model]
        if model not in machine.cached and twin in machine.cached:
            models.append(twin)
        elif model in machine.cached or machine.online:
            models.append(model)
        else:
            return ()
    return tuple(models)


def _demo(model: str, quality: str, machine: Machine, why: str) -> Choice:
    option = DEMO[quality]
    words = f"{option.config} under {model}, {why}"
    return Choice(option.config, option.settings, words, _on_cpu(option, machine.cores))


def _on_cpu(option: Option, cores: int) -> float:
    # The demo is too small to gain from more than a few cores.
    return option.work / min(cores, 4 if option.models == SMALLEST else 16)


def _real(option: Option, models: tuple[str, ...], machine: Machine) -> Choice:
    keys = ("clip.model", "clip2.model")
    pairs = zip(keys, option.models, models, strict=False)
    swapped = tuple((key, new) for key, old, new in pairs if new != old)
    missing = [model for model in models if model not in machine.cached]
    where = "in the cache"
    if missing:
        size = sum(DOWNLOAD_MB[model] for model in missing)
        where = f"{' + '.join(missing)} fetched first, {size} MB"
    place = f"there are {machine.cores} cores and no GPU"
    seconds, measured = _on_cpu(option, machine.cores), True
    if machine.accelerator:
        place = f"{machine.device} has {machine.free / GIB:.1f} GiB free"
        seconds, measured = option.work, False
    words = f"{option.config} under {' + '.join(models)} ({where}), as {place}"
    return Choice(option.config, option.settings + swapped, words, seconds, measured)


def given(config: str, cores: int, *, changed: bool) -> Choice:
    """The choice that the user made.

    Args:
      config: as typed.
      cores: of the CPU.
      changed: whether keys of it are changed, so that no time is known.
    """
    known = {option.config: option for option in (*DEMO.values(), *SMALL.values()) if not option.settings}
    path, variant = split_spec(config)
    ships = path.resolve() == (shipped_folder() / path.name).resolve()
    option = known.get(path.stem + (f":{variant}" if variant else "")) if ships and not changed else None
    seconds = _on_cpu(option, cores) if option else None
    return Choice(config, (), f"{config}, as --config says", seconds)


def time_words(choice: Choice) -> str:
    """How long it will take, in the words of somebody who does not know exactly."""
    seconds = choice.seconds
    if seconds is None:
        return "its first steps tell how long it takes"
    if seconds < 90:
        words = f"about {max(round(seconds / 10) * 10, 10)} seconds"
    elif seconds < 5400:
        minutes = round(seconds / 60)
        words = f"about {minutes if minutes < 10 else round(minutes / 5) * 5} minutes"
    else:
        words = f"about {seconds / 3600:.1f} hours"
    return words if choice.measured else f"{words}, reckoned and never measured on such a device"
