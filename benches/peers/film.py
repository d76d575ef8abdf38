#!/usr/bin/env python3
"""A film to the film with its maps: against ffmpeg's own work, and against OpenCV with ONNX Runtime; how still maps are; memory.

usage: film.py [--program cbam] [--rounds N] [--only speed memory flicker]
       film.py peer MODEL.onnx FILM OUT

The film is a pan over a bundled photo, 640×360, 25 frames a second, with sound. `speed`, by turns in one run: ffmpeg alone decodes and
encodes it with the same codec and preset; cbam-run lays the last spatial gate over it, in bf16 too where the
processor has units for that; the peer does so with
OpenCV and ONNX Runtime, decoding by OpenCV and encoding by the same ffmpeg. `flicker` is of a still scene with noise (σ 8 of 255): the mean
change of the drawn strength from frame to frame. Writes target/bench/film.md. Needs `.venv` (make bench-peers makes it) and ffmpeg.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT / "assets" / "images" / "chelsea.jpg"
SIZE = (640, 360)
ENCODE = ["-c:v", "libx264", "-preset", "medium", "-crf", "16", "-pix_fmt", "yuv420p"]
BATCH = 8


def ffmpeg(*words):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, words)], check=True)


def made(path, seconds, still=False):
    """A film of a photo, still or not, with noise."""
    width, height = SIZE
    move = "scale=640:-1,crop=640:360" if still else (
        f"scale=1804:-1,zoompan=z='1.15+0.15*sin(on/40)':x='(iw-iw/zoom)*(0.5+0.5*sin(on/55))':y='(ih-ih/zoom)*0.35':d=1:s={width}x{height}:fps=25")
    # noise=alls=S is even over ±S: its σ is S / √3.
    noise = "noise=alls=14:allf=t" if still else "noise=alls=6:allf=t"
    codec = ["-c:v", "ffv1", "-pix_fmt", "bgr0"] if still else [*ENCODE, "-c:a", "aac"]
    sound = [] if still else ["-f", "lavfi", "-i", f"sine=f=440:d={seconds}"]
    ffmpeg("-loop", "1", "-r", "25", "-i", PHOTO, *sound, "-vf", f"{move},format=gbrp,{noise}" if still else f"{move},{noise}", "-t", seconds, *codec, path)
    return path


def took(command):
    """Seconds, and the most memory that a process of it held, in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.perf_counter() - begun, usage.ru_maxrss / 1e3


def peer(model, film, out):
    """The same with OpenCV and ONNX Runtime."""
    import cv2
    from folder import Runner, prepare

    runner = Runner(model, 2)
    source = cv2.VideoCapture(film)
    width, height = SIZE
    to = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", str(source.get(cv2.CAP_PROP_FPS)),
         "-i", "-", "-i", film, "-map", "0:v", "-map", "1:a", "-c:a", "copy", *ENCODE, out], stdin=subprocess.PIPE)
    while True:
        frames = []
        while len(frames) < BATCH:
            there, frame = source.read()
            if not there:
                break
            frames.append(frame)
        if not frames:
            break
        gates = runner.session.run(runner.gates[-1:], {"pixels": np.stack([prepare(frame) for frame in frames])})[0]
        for frame, gate in zip(frames, gates):
            heat = cv2.resize(gate, SIZE, interpolation=cv2.INTER_CUBIC)
            heat = cv2.normalize(heat, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
            to.stdin.write(cv2.addWeighted(frame, 0.5, cv2.applyColorMap(heat, cv2.COLORMAP_TURBO), 0.5, 0).tobytes())
    to.stdin.close()
    assert to.wait() == 0


def speed(program, folder, rounds):
    film, model = made(folder / "film.mp4", 10), folder / "network.onnx"
    frames = 250
    subprocess.run([sys.executable, ROOT / "benches/peers/model.py", "export", model, "--height", "224", "--width", "384"], check=True,
                   stdout=subprocess.DEVNULL)
    cbam = [program, "run", film, "--overlay", folder / "out.mp4", "--quiet", "--threads", "2"]
    sides = {
        "ffmpeg alone": ["ffmpeg", "-v", "error", "-y", "-i", film, "-map", "0", "-c:a", "copy", *ENCODE, folder / "out.mp4"],
        "cbam-run --map spatial": [*cbam, "--map", "spatial"],
        "cbam-run (fused)": cbam,
        "cbam-run --map spatial --precision bf16": [*cbam, "--map", "spatial", "--precision", "bf16"],
        "OpenCV and ONNX Runtime": [sys.executable, __file__, "peer", model, film, folder / "out.mp4"],
    }
    if subprocess.run([program, "run", PHOTO, "--precision", "bf16", "--overlay", folder / "out.png", "--quiet"], stderr=subprocess.DEVNULL).returncode:
        del sides["cbam-run --map spatial --precision bf16"]  # the processor has no unit for it
    times = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            times[name].append(took(command)[0])
            print(name, f"{times[name][-1]:.2f} s", flush=True)
    lines = ["| 250 frames of 640×360, h264 | seconds | ms a frame beyond ffmpeg's | of the peer's time |", "|---|---|---|---|"]
    for name, of in times.items():
        beyond = statistics.median(a - b for a, b in zip(of, times["ffmpeg alone"])) * 1e3 / frames
        share = statistics.median(a / b for a, b in zip(of, times["OpenCV and ONNX Runtime"]))
        lines.append(f"| {name} | {statistics.median(of):.2f} ({min(of):.2f}–{max(of):.2f}) | {beyond:.1f} | {share:.2f} |")
    return lines


def memory(program, folder):
    lines = ["| length | most memory of cbam-run |", "|---|---|"]
    for seconds in (10, 600):
        film = made(folder / f"long{seconds}.mp4", seconds)
        _, most = took([program, "run", film, "--overlay", folder / "out.mp4", "--quiet", "--threads", "2", "--map", "spatial"])
        lines.append(f"| {seconds} s | {most:.0f} MB |")
        print(lines[-1], flush=True)
    return lines


def flicker(program, folder):
    """From the maps as the network has them, on its grid, by the rules that docs/FILMS.md tells."""
    film = made(folder / "still.mkv", 4, still=True)
    subprocess.run([program, "run", film, "--maps-dir", folder, "--class", "Egyptian cat", "--quiet"], check=True)
    maps = np.load(folder / "still.npy").astype(np.float64)

    def change(maps, low, high):
        strength = 0.75 * np.clip((maps - low) / (high - low), 0, 1) ** 0.6
        return np.abs(np.diff(strength, axis=0)).mean() * 1e3

    smooth = maps.copy()
    for order in (range(1, len(maps)), range(len(maps) - 2, -1, -1)):
        for frame in order:
            before = frame - 1 if order.step == 1 else frame + 1
            smooth[frame] = (smooth[before] + smooth[frame]) / 2
    each = change(maps, maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True))
    rows = {"each frame's own scale": each, "the film's scale, --smooth 0": change(maps, maps.min(), maps.max()),
            "the film's scale, --smooth 0.5": change(smooth, smooth.min(), smooth.max())}
    lines = ["| a still scene, noise of σ 8/255, 100 frames | change of strength from frame to frame, 10⁻³ | of the first |", "|---|---|---|"]
    return lines + [f"| {name} | {value:.2f} | {value / each:.2f} |" for name, value in rows.items()]


def main():
    if sys.argv[1:2] == ["peer"]:
        return peer(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "target" / "release" / "cbam")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=["speed", "memory", "flicker"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        tables = {"speed": lambda: speed(given.program, folder, given.rounds), "memory": lambda: memory(given.program, folder),
                  "flicker": lambda: flicker(given.program, folder)}
        text = "\n\n".join("\n".join(tables[name]()) for name in given.only)
    (ROOT / "target" / "bench").mkdir(parents=True, exist_ok=True)
    (ROOT / "target" / "bench" / "film.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
