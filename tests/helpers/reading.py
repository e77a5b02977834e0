"""Reading a video back, for the tests."""

import re
import subprocess

import imageio_ffmpeg
import numpy as np


def read_video(path):
    """(frames [n, height, width, 3] uint8, frames per second, ffmpeg's description of the stream)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    stream = re.search(r"Stream.*Video: .*", done.stderr.decode())[0]
    width, height = map(int, re.search(r"(\d+)x(\d+)", stream.split("yuv", 1)[1]).groups())
    fps = float(re.search(r"([\d.]+) fps", stream)[1])
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3), fps, stream
