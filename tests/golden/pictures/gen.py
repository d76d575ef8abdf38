"""pillow.json: what Pillow shows of the pictures in tests/regressions/pictures, as the mean red, green and blue of 4 x 4 fields.

ICC profiles are applied, EXIF orientation too. Run with Pillow 13 and numpy; damaged pictures are read as far as libjpeg goes, by
its plain code: of coefficients out of range, its SIMD code makes other pixels.
"""

import io
import json
import os
import pathlib

os.environ["JSIMD_FORCENONE"] = "1"  # before libjpeg is loaded

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps

ImageFile.LOAD_TRUNCATED_IMAGES = True
here = pathlib.Path(__file__).parent
pictures = {}
for path in sorted((here / "../../regressions/pictures").resolve().iterdir()):
    if path.suffix in (".exr", ".gif") or path.name in ("big.webp", "progshort.jpg"):
        continue  # refused, or of one colour and large
    image = Image.open(path)
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode == "I;16":
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    image = image.convert("RGB")
    if profile:
        image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"))
    rows = [np.array_split(row, 4, axis=1) for row in np.array_split(np.asarray(image).astype(float), 4)]
    fields = [[round(value, 2) for value in cell.mean(axis=(0, 1))] for row in rows for cell in row]
    pictures[path.name] = {"size": image.size, "fields": fields}
(here / "pillow.json").write_text(json.dumps(pictures, indent=1) + "\n")
