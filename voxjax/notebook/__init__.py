"""voxjax in a notebook: what the cells of `launch/voxjax_colab.ipynb` call.

Training and comparing run as processes of their own, beside the kernel: the accelerator is theirs, what they
have done outlives an interrupted cell and a kernel that starts anew, and the same call goes on with it. The
kernel looks at the files that they write.
"""

from voxjax.notebook.live import compare_live, train_live
from voxjax.notebook.machine import find_machine
from voxjax.notebook.settings import make_settings
from voxjax.notebook.showing import download, show_mesh, show_page, show_turntable

__all__ = [
    "compare_live",
    "download",
    "find_machine",
    "make_settings",
    "show_mesh",
    "show_page",
    "show_turntable",
    "train_live",
]
