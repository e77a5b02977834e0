"""Where the pictures come from: packages by name, who made what is in them, and under which licence."""

from __future__ import annotations

from dataclasses import dataclass

ICONS, MODELS = "icons", "models"


@dataclass(frozen=True)
class Source:
    """A set of pictures or models.

    Attributes:
      name: what the command calls it.
      title: what its makers call it.
      credit: who made it.
      licence: of the pictures or models themselves.
      package: its name at the registry; version: likewise.
      registry: `npm` or `apt`.
      archive: name of the package's file.
      sha256: of the archive.
      megabytes: to fetch.
      members: pattern of its pictures' paths, what they show in its group, as code points; `ICONS` for a file
        of drawings by name, `MODELS` for models.
    """

    name: str
    title: str
    credit: str
    licence: str
    package: str
    version: str
    registry: str
    archive: str
    sha256: str
    megabytes: int
    members: str


SOURCES = {
    source.name: source
    for source in (
        Source(
            "noto",
            "Noto Color Emoji, 64 px",
            "Google; packed by Cal Henderson (emoji-data)",
            "Apache-2.0",
            "emoji-datasource-google",
            "16.0.0",
            "npm",
            "emoji-datasource-google-16.0.0.tgz",
            "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
            74,
            r"package/img/google/64/([0-9a-f-]+)\.png",
        ),
        Source(
            "fluent",
            "Fluent Emoji, 3D",
            "Microsoft; packed by LobeHub",
            "MIT",
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "npm",
            "lobehub-fluent-emoji-3d-1.1.0.tgz",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            16,
            r"package/assets/([0-9a-f-]+)\.webp",
        ),
        Source(
            "twemoji",
            "Twemoji, 64 px",
            "Twitter, Inc. and other contributors; packed by Cal Henderson (emoji-data)",
            "CC-BY-4.0",
            "emoji-datasource-twitter",
            "16.0.0",
            "npm",
            "emoji-datasource-twitter-16.0.0.tgz",
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
            62,
            r"package/img/twitter/64/([0-9a-f-]+)\.png",
        ),
        Source(
            "openmoji",
            "OpenMoji",
            "HfG Schwäbisch Gmünd, Benedikt Groß, Daniel Utz and contributors",
            "CC-BY-SA-4.0",
            "openmoji",
            "17.0.0",
            "npm",
            "openmoji-17.0.0.tgz",
            "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
            4,
            r"package/color/svg/([0-9A-F-]+)\.svg",
        ),
        Source(
            "noto_v1",
            "Noto Emoji of 2013 to 2017",
            "Google; packed by Iconify",
            "Apache-2.0",
            "@iconify-json/noto-v1",
            "1.2.5",
            "npm",
            "iconify-json-noto-v1-1.2.5.tgz",
            "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
            2,
            ICONS,
        ),
        Source(
            "fluent_flat",
            "Fluent Emoji, flat",
            "Microsoft; packed by Iconify",
            "MIT",
            "@iconify-json/fluent-emoji-flat",
            "1.2.6",
            "npm",
            "iconify-json-fluent-emoji-flat-1.2.6.tgz",
            "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
            1,
            ICONS,
        ),
        Source(
            "fxemoji",
            "Firefox OS Emoji",
            "Mozilla; packed by Iconify",
            "Apache-2.0",
            "@iconify-json/fxemoji",
            "1.2.2",
            "npm",
            "iconify-json-fxemoji-1.2.2.tgz",
            "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
            1,
            ICONS,
        ),
        Source(
            "streamline",
            "Streamline Emojis",
            "Streamline; packed by Iconify",
            "CC-BY-4.0",
            "@iconify-json/streamline-emojis",
            "1.2.4",
            "npm",
            "iconify-json-streamline-emojis-1.2.4.tgz",
            "5dac87c876b322500989828c5823143e0100d78881627a2e4081a4b897cbfdbc",
            1,
            ICONS,
        ),
        Source(
            "emojione",
            "EmojiOne 2",
            "EmojiOne and the contributors of EmojiTwo; packed by Iconify",
            "CC-BY-4.0",
            "@iconify-json/emojione",
            "1.2.3",
            "npm",
            "iconify-json-emojione-1.2.3.tgz",
            "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
            1,
            ICONS,
        ),
        Source(
            "emojione_v1",
            "EmojiOne 1",
            "EmojiOne; packed by Iconify",
            "CC-BY-SA-4.0",
            "@iconify-json/emojione-v1",
            "1.2.3",
            "npm",
            "iconify-json-emojione-v1-1.2.3.tgz",
            "6641d59d48a42823fdc2b84e7427e9f302944eb98d2c7d94d6e67c139e7b37b3",
            4,
            ICONS,
        ),
        Source(
            "furniture",
            "Sweet Home 3D, additional 3D models",
            "Andrew Kator and Jennifer Legaz (CC-BY-3.0-US), Reallusion (CC-BY-3.0-US), Scopia (CC-BY-3.0),"
            " contributors of Blend Swap (CC-BY-3.0; others CC0)",
            "CC-BY-3.0, CC-BY-3.0-US and CC0, by library",
            "sweethome3d-furniture",
            "1.8-1",
            "apt",
            "sweethome3d-furniture_1.8-1_all.deb",
            "3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
            120,
            MODELS,
        ),
    )
}
