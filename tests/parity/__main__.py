"""Runs all comparisons, holds them against their limits and writes `docs/parity.md`.

  PYTHONPATH=tests python -m parity              everything, one model at a time, each in a process of its own
  PYTHONPATH=tests python -m parity RN50 pixels  these only; prints the figures and writes no document
  PYTHONPATH=tests python -m parity peer         that benchmarks/peer does the work that it is timed for

Exit code 1: something is over its limit.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from parity import document

# Against a reference in PyTorch: the four architectures, with both activations of a ViT.
COMPARED = ("ViT-B/32", "ViT-B-32:laion2b", "RN50", "RN50x4", "ViT-B-16-plus-240:laion400m")
PARTS = ("rows", "pixels", "peer")
LIMITS = {"text": 1e-4, "image": 1e-4, "gradient": 1e-3}
LOWER_LIMITS = {"bf16_image": 0.999, "bf16_gradient": 0.98}


def child(*arguments):
    """Figures that this script prints in a process of its own, so that memory is given back."""
    done = subprocess.run([sys.executable, "-m", "parity", *arguments], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"parity {' '.join(arguments)} failed")
    return json.loads(done.stdout.splitlines()[-1])


def failures(figures):
    """What is over its limit, in words."""
    found = [
        f"{each['name']}: {key} {each[key]:.2g}"
        for each in figures
        for key in LIMITS
        if each[key] > LIMITS[key]
    ]
    found += [
        f"{each['name']}: {key} {each[key]:.4f}"
        for each in figures
        for key in LOWER_LIMITS
        if not each[key] > LOWER_LIMITS[key]
    ]
    return found


def run(wanted):
    """All figures, or those of the models and parts named."""
    from parity.models import MODELS

    unknown = [name for name in wanted if name not in (*MODELS, *PARTS)]
    if unknown:
        raise SystemExit(f"nothing called {', '.join(unknown)}: name models, {', '.join(PARTS)}")
    models = [name for name in wanted if name in MODELS] if wanted else COMPARED
    figures = {"models": [], "rows": [], "pixels": [], "peer": {}}
    for name in models:
        figures["models"].append(child("--compare", name))
        print(json.dumps(figures["models"][-1]), flush=True)
    if not wanted or "rows" in wanted:
        for name in MODELS:
            figures["rows"].append(child("--row", name))
            print(json.dumps(figures["rows"][-1]), flush=True)
    if not wanted or "pixels" in wanted:
        figures["pixels"] = child("--pixels")
        print(json.dumps(figures["pixels"]), flush=True)
    if not wanted or "peer" in wanted:
        figures["peer"] = child("--peer")
        print(json.dumps(figures["peer"]), flush=True)
    return figures


def main():
    parser = argparse.ArgumentParser(prog="parity", description=__doc__.splitlines()[0])
    parser.add_argument("wanted", nargs="*", help=f"models, {', '.join(PARTS)}; everything if none")
    parser.add_argument("--out", type=Path, default=Path("docs/parity.md"))
    for part in ("--compare", "--row", "--load", "--folder"):
        parser.add_argument(part, help=argparse.SUPPRESS)
    for part in ("--pixels", "--peer"):
        parser.add_argument(part, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        from parity import compare

        print(json.dumps(compare.compare(options.compare)))
    elif options.row or options.load:
        from parity import rows

        print(
            json.dumps(rows.measure(options.row) if options.row else rows.load(options.load, options.folder))
        )
    elif options.pixels:
        from parity import pixels

        print(json.dumps(pixels.compare()))
    elif options.peer:
        from parity import peer

        print(json.dumps(peer.compare()))
    else:
        figures = run(options.wanted)
        if not options.wanted:
            options.out.write_text(document.render(figures), encoding="utf-8")
        found = failures(figures["models"])
        if figures["peer"]:
            from parity import peer

            found += peer.failures(figures["peer"])
        for line in found:
            print(f"over its limit: {line}", file=sys.stderr)
        return int(bool(found))
    return 0


sys.exit(main())
