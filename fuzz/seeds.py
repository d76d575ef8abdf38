#!/usr/bin/env python3
"""Writes the first inputs of every fuzz target: `fuzz/seeds.py FOLDER` fills FOLDER/TARGET. Most are this repository's own goldens and
regressions, the rest is made here, so that no file of them lies in the repository twice."""

import io
import json
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
# The longest file that is taken: libFuzzer is quick with short ones.
LONGEST = 9_000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(colour, bits, width=5, height=3, extra=b"", interlaced=0):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    line = b"\0" + bytes(i * 37 % 256 for i in range((width * channels * bits + 7) // 8))
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(i % 256 for i in range(3 << bits))) if colour == 3 else b""
    # An interlaced picture has shorter lines: its data end early, as those of a damaged one.
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + palette + extra + chunk(b"IDAT", zlib.compress(line * height)) + chunk(b"IEND", b"")


def exif(orientation, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def tiff(data, width, height, tags, order="<", big=False):
    """A TIFF of one strip; `tags` are tag → (kind, values)."""
    size, code = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 12: 8, 16: 8}, {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
    head = 16 if big else 8
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1]), 278: (4, [height]),
            273: (4, [head]), 279: (4, [len(data)])} | tags
    start = head + len(data)
    entry, inline = (20, 8) if big else (12, 4)
    after = start + (8 + 8 if big else 2 + 4) + entry * len(tags)
    directory, rest = struct.pack(order + ("Q" if big else "H"), len(tags)), b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{code[kind]}", *values)
        directory += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values))
        if len(packed) <= inline:
            directory += packed.ljust(inline, b"\0")
        else:
            directory += struct.pack(order + ("Q" if big else "I"), after + len(rest))
            rest += packed
    mark = b"II" if order == "<" else b"MM"
    first = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI", 42, start)
    return mark + first + data + directory + bytes(8 if big else 4) + rest


def tiffs():
    grey = bytes(range(0, 240, 16))
    yield "grey", tiff(grey, 5, 3, {})
    yield "big-endian", tiff(grey, 5, 3, {}, ">")
    yield "bigtiff", tiff(grey, 5, 3, {}, big=True)
    yield "deflate", tiff(zlib.compress(grey), 5, 3, {259: (3, [8])})
    yield "predictor", tiff(zlib.compress(grey * 3), 5, 3, {258: (3, [8] * 3), 277: (3, [3]), 262: (3, [2]), 259: (3, [8]), 317: (3, [2])})
    yield "packbits", tiff(b"\x0e" + grey, 5, 3, {259: (3, [32773])})
    yield "lzw", tiff(b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01", 3, 3, {259: (3, [5])})
    yield "fax", tiff(b"\x00\x10\x01\x00\x10\x01", 16, 2, {258: (3, [1]), 259: (3, [4])})
    yield "bits", tiff(b"\xa5\x5a\xff", 8, 3, {258: (3, [1]), 262: (3, [0]), 266: (3, [2])})
    yield "palette", tiff(grey, 5, 3, {262: (3, [3]), 320: (3, [i * 80 for i in range(768)])})
    yield "rgba", tiff(grey * 4, 5, 3, {258: (3, [8] * 4), 277: (3, [4]), 262: (3, [2]), 338: (3, [1])})
    yield "planes", tiff(grey * 3, 5, 3, {258: (3, [8] * 3), 277: (3, [3]), 262: (3, [2]), 284: (3, [2]), 273: (4, [8, 23, 38]), 279: (4, [15] * 3)})
    yield "float", tiff(struct.pack("<6f", 0, 0.5, 1, -1, 2, 0.25), 3, 2, {258: (3, [32]), 339: (3, [3]), 42113: (2, b"-1\0")})
    yield "half", tiff(struct.pack("<6e", 0, 0.5, 1, 1, 0, 0.25), 3, 2, {258: (3, [16]), 339: (3, [3])})
    yield "signed", tiff(struct.pack("<6h", -5, 0, 5, 9, 1, 2), 3, 2, {258: (3, [16]), 339: (3, [2])})
    yield "doubles", tiff(struct.pack("<6d", 0, 0.5, 1, 1, 0, 0.25), 3, 2, {258: (3, [64]), 339: (3, [3])})
    yield "ycbcr", tiff(grey * 3, 5, 3, {258: (3, [8] * 3), 277: (3, [3]), 262: (3, [6]), 530: (3, [1, 1])})
    yield "lab", tiff(grey * 3, 5, 3, {258: (3, [8] * 3), 277: (3, [3]), 262: (3, [8])})
    yield "cmyk", tiff(grey * 4, 5, 3, {258: (3, [8] * 4), 277: (3, [4]), 262: (3, [5])})
    yield "tiles", tiff(bytes(256), 5, 3, {322: (3, [16]), 323: (3, [16]), 324: (4, [8]), 325: (4, [256])})
    yield "turned", tiff(grey, 5, 3, {274: (3, [6])})
    jpeg = (TESTS / "regressions/pictures/182.0-original.jpg").read_bytes()
    yield "jpeg", tiff(jpeg, 8, 8, {258: (3, [8] * 3), 277: (3, [3]), 262: (3, [6]), 259: (3, [7])})


def exr():
    def attribute(name, kind, data):
        return name + b"\0" + kind + b"\0" + struct.pack("<I", len(data)) + data

    channels = b"".join(name + b"\0" + struct.pack("<IIII", 2, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    window = struct.pack("<4i", 0, 0, 1, 0)
    head = struct.pack("<II", 20000630, 2) + b"".join((
        attribute(b"channels", b"chlist", channels), attribute(b"compression", b"compression", b"\0"),
        attribute(b"dataWindow", b"box2i", window), attribute(b"displayWindow", b"box2i", window),
        attribute(b"lineOrder", b"lineOrder", b"\0"), attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        attribute(b"screenWindowCenter", b"v2f", bytes(8)), attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1)))) + b"\0"
    return head + struct.pack("<Q", len(head) + 8) + struct.pack("<iI6f", 0, 24, *range(6))


def bmp(bits, data, compression=0, palette=b"", height=2):
    head = struct.pack("<IiiHHIIiiII", 40, 4, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(data), 0, 0, 54 + len(palette)) + head + palette + data


def pictures():
    ramp = bytes(range(0, 256, 8))
    palette = bytes(range(64))
    yield "24.bmp", bmp(24, ramp[:24])
    yield "top-down.bmp", bmp(32, ramp, height=-2)
    yield "4.bmp", bmp(4, ramp[:8], palette=palette)
    yield "rle8.bmp", bmp(8, b"\x04\x01\0\0\0\x04\1\2\3\4\0\1", 1, palette)
    yield "rle4.bmp", bmp(4, b"\x04\x12\0\0\x04\x34\0\1", 2, palette)
    yield "fields.bmp", bmp(16, ramp[:16], 3, struct.pack("<3I", 0xF800, 0x7E0, 0x1F))
    yield "1.ico", b"\0\0\1\0\1\0\x04\2\0\0\1\0\x20\0\x4c\0\0\0\x16\0\0\0" + bmp(32, ramp + bytes(8), height=4)[14:]
    yield "png.ico", b"\0\0\1\0\1\0\5\3\0\0\1\0\x20\0" + struct.pack("<II", len(png(6, 8)), 22) + png(6, 8)
    yield "1.qoi", b"qoif" + struct.pack(">IIBB", 4, 2, 4, 0) + b"\xfe\1\2\3\xff\1\2\3\4\xc2\x6a\xa5\x55\x3f" + bytes(7) + b"\1"
    yield "rgb.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 3, 2, 24, 0) + ramp[:18]
    yield "rle.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 3, 2, 32, 8) + b"\x82abcd\x02" + ramp[:12]
    yield "mapped.tga", struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 4, 24, 0, 0, 3, 2, 8, 32) + ramp[:12] + b"\0\1\2\3\2\1"
    yield "signed.tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 3, 0, 0, 0, 0, 0, 3, 2, 8, 0) + ramp[:6] + bytes(8) + b"TRUEVISION-XFILE.\0"
    for kind, block in (b"DXT1", 8), (b"DXT3", 16), (b"DXT5", 16):
        head = struct.pack("<7I", 124, 0x1007, 4, 4, 0, 0, 0) + bytes(44) + struct.pack("<II4s", 32, 4, kind) + bytes(20)
        yield f"{kind.decode()}.dds", b"DDS " + head + struct.pack("<I", 0x1000) + bytes(16) + ramp[:block]
    yield "1.ff", b"farbfeld" + struct.pack(">II", 2, 1) + ramp[:16]
    yield "flat.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 3\n" + ramp[:24]
    yield "rle.hdr", b"#?RGBE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 8\n\2\2\0\x08" + b"\x88\x40\x08abcdefgh\x88\x50\x88\x80"
    for kind, body in (1, b"1 0 1\n0 1 0\n"), (2, b"15\n1 2 3\n4 5 15\n"), (3, b"255\n" + b"9 8 7 " * 6), (4, b"\xa0\x50"), (5, b"255\nabcdef"), (6, b"65535\n" + bytes(36)):
        yield f"{kind}.pnm", b"P%d\n# a note\n3 2\n" % kind + body
    yield "7.pam", b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\nabcdefgh"
    gif = b"GIF89a\4\0\2\0\xf1\0\0" + ramp[:12] + b"!\xf9\4\1\0\0\1\0,\0\0\0\0\4\0\2\0\0\2\3\x84\x8f\x05\0;"
    yield "1.gif", gif
    yield "interlaced.gif", gif.replace(b"\4\0\2\0\0\2\3", b"\4\0\2\0\x40\2\3")
    vp8l = b"\x2f\x03\x40\0\0\x07\x50\xe8\xff\xfe\x07"
    yield "lossless.webp", b"RIFF" + struct.pack("<I", 12 + len(vp8l) + 1) + b"WEBPVP8L" + struct.pack("<I", len(vp8l)) + vp8l + b"\0"
    yield "1.exr", exr()
    for path in (TESTS / "images").glob("*.webp"):
        yield path.name, path.read_bytes()
    for pattern in "*.webp", "*.gif":
        for path in (TESTS / "regressions/pictures").glob(pattern):
            yield path.name, path.read_bytes()


def pngs():
    for colour, depths in (0, (1, 8, 16)), (2, (8, 16)), (3, (2, 8)), (4, (8,)), (6, (8, 16)):
        for bits in depths:
            yield f"{colour}-{bits}", png(colour, bits)
    yield "interlaced", png(2, 8, interlaced=1)
    yield "clear", png(3, 8, extra=chunk(b"tRNS", bytes(9)))
    yield "turned", png(0, 8, extra=chunk(b"eXIf", exif(6, ">")))
    yield "gamma", png(2, 8, extra=chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"cHRM", bytes(range(32))))
    yield "cicp", png(2, 16, extra=chunk(b"cICP", b"\x09\x10\0\1") + chunk(b"sBIT", b"\x05\6\5"))
    yield "profile", png(2, 8, extra=chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(132))))
    yield "xmp", png(0, 8, extra=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='3'/>"))
    yield "void", png(3, 8, 40, 9)
    yield "animation", (TESTS / "images/animation.png").read_bytes()


def jpegs():
    for path in (TESTS / "regressions/pictures").glob("*.jpg"):
        yield path.stem, path.read_bytes()
    short = (TESTS / "regressions/pictures/182.0-original.jpg").read_bytes()
    for name, payload in ("turned", b"Exif\0\0" + exif(8)), ("xmp", b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='6'/>"):
        yield name, short[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(payload)) + payload + short[2:]
    profile = b"ICC_PROFILE\0\1\1" + bytes(132)
    yield "profile", short[:2] + b"\xff\xe2" + struct.pack(">H", 2 + len(profile)) + profile + short[2:]
    yield "adobe", short[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + short[2:]


def records(archive):
    """A zip archive in the form that the target `torch` takes apart."""
    out = b""
    for entry in archive.infolist():
        entry.CRC = None  # one of the goldens has none
        data, name = archive.read(entry)[:0xFFFF], entry.filename.encode()
        out += bytes([len(name)]) + name + struct.pack("<H", len(data)) + data
    return out


def torch():
    for folder in "golden/weights", "golden/checkpoints":
        for path in sorted((TESTS / folder).iterdir()):
            data = path.read_bytes()
            if path.suffix in (".pt", ".pth", ".tar", ".ckpt"):
                yield path.name, b"\0" + data
            if data.startswith(b"PK"):
                yield "records-" + path.name, b"\1" + records(zipfile.ZipFile(io.BytesIO(data)))


def program():
    """A convolution, a gate, a pool and classes, as torch.export writes them; with a part of a graph within the graph."""
    def tensor(name):
        return {"as_tensor": {"name": name}}

    def node(target, made, *inputs, path="cbam.sa"):
        stack = f"L__self__,,net.Net;L__self___x,{path},torch.nn.modules.activation.Sigmoid"
        return {"target": f"torch.ops.{target}", "inputs": [{"name": name, "arg": arg, "kind": 1} for name, arg in inputs],
                "outputs": [tensor(made)], "metadata": {"nn_module_stack": stack, "stack_trace": 'File "net.py", line 3, in f\n    x'}}

    def meta(*sides):
        side = [{"as_int": side} if isinstance(side, int) else {"as_expr": {"expr_str": side, "hint": {"as_int": 4}}} for side in sides]
        return {"dtype": 7, "sizes": side, "strides": [{"as_int": 1}] * len(side), "storage_offset": {"as_int": 0}}

    inner = {"inputs": [tensor("a")], "outputs": [tensor("b")], "nodes": [node("aten.mul_.Tensor", "b", ("self", tensor("a")), ("other", {"as_float": "Infinity"}))],
             "tensor_values": {}}
    nodes = [node("aten.conv2d.default", "y", ("input", tensor("x")), ("weight", tensor("w")), ("padding", {"as_ints": [1, 1]})),
             node("aten.relu_.default", "r", ("self", tensor("y"))),
             node("aten.mean.dim", "m", ("self", tensor("r")), ("dim", {"as_ints": [1]}), ("keepdim", {"as_bool": True})),
             node("aten.sigmoid.default", "s", ("self", tensor("m"))), node("aten.mul.Tensor", "z", ("self", tensor("r")), ("other", tensor("s"))),
             {**node("higher_order.wrap_with_set_grad_enabled", "n"), "inputs": [
                 {"name": "", "arg": {"as_bool": False}}, {"name": "", "arg": {"as_graph": {"name": "g", "graph": inner}}}, {"name": "", "arg": tensor("z")}]},
             node("aten.scaled_dot_product_attention.default", "t", ("query", tensor("n")), ("key", tensor("n")), ("value", tensor("n"))),
             node("aten.mean.dim", "o", ("self", tensor("t")), ("dim", {"as_ints": [2, 3]}))]
    free = "Mul(Integer(2), Symbol('s1', positive=True))"
    values = {"x": meta(1, 3, free, 4), "w": meta(2, 3, 1, 1), "y": meta(1, 2, 4, 4), "r": meta(1, 2, 4, 4), "m": meta(1, 1, 4, 4),
              "s": meta(1, 1, 4, 4), "z": meta(1, 2, 4, 4), "b": meta(1, 2, 4, 4), "t": meta(1, 2, 4, 4), "o": meta(1, 2)}
    specs = [{"parameter": {"arg": {"name": "w"}, "parameter_name": "conv.weight"}}, {"user_input": {"arg": tensor("x")}}]
    out = '[1, {"type": "builtins.dict", "context": "[\\"out\\"]", "children_spec": [{"type": null, "context": null, "children_spec": []}]}]'
    return json.dumps({"graph_module": {
        "graph": {"inputs": [tensor("w"), tensor("x")], "outputs": [tensor("o")], "nodes": nodes, "tensor_values": values},
        "signature": {"input_specs": specs, "output_specs": [{"user_output": {"arg": tensor("o")}}]},
        "module_call_graph": [{"fqn": "", "signature": {"out_spec": out}}]},
        "range_constraints": {"s1": {"min_val": 2, "max_val": 64}}, "schema_version": {"major": 8, "minor": 17}, "torch_version": "2.11.0"})


def graph():
    weights = {"config": {"conv.weight": {"path_name": "weight_0", "use_pickle": False, "tensor_meta": {
        "dtype": 7, "sizes": [{"as_int": side} for side in (2, 3, 1, 1)], "strides": [{"as_int": stride} for stride in (3, 1, 1, 1)],
        "storage_offset": {"as_int": 0}}}}}
    new = {"net/archive_format": b"pt2", "net/models/model.json": program().encode(), "net/data/weights/weight_0": bytes(24),
           "net/data/weights/model_weights_config.json": json.dumps(weights).encode(),
           "net/data/constants/model_constants_config.json": b'{"config": {}}'}
    old = {"serialized_exported_program.json": program().encode(),
           "serialized_state_dict.pt": min((path.read_bytes() for path in (TESTS / "golden").rglob("*.pt") if path.suffix == ".pt"), key=len)}
    for name, entries in ("new", new), ("old", old):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as out:
            for path, content in entries.items():
                out.writestr(path, content)
        yield name, b"\0" + archive.getvalue()
        yield "records-" + name, b"\1" + records(zipfile.ZipFile(archive))


def onnx():
    for path in sorted((TESTS / "golden/graph").glob("*.onnx")):
        yield path.name, path.read_bytes()


def safetensors():
    paths = [path for folder in ("golden", "regressions") for path in sorted((TESTS / folder).rglob("*.safetensors"))]
    for path in paths:
        if path.stat().st_size <= 2500:
            data = path.read_bytes()
            (length,) = struct.unpack("<Q", data[:8])
            yield path.name, b"\0" + data
            yield "header-" + path.name, b"\3" + data[8:8 + length]


def network():
    with open(ROOT / "crates/cbam-lite0/weights/efficientnet-lite0-attention.safetensors", "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        config = json.loads(file.read(length))["__metadata__"]["network"]
    yield "attention", b"\0" + config.encode()
    yield "whole", b"\1" + config.encode()
    site = {"stage": "layer1.0", "se": {"reduction": 16}, "eca": {"kernel_size": 3}, "bam": {"reduction": 16, "dilation": 4},
            "spatial": {"kernel_size": 7}}
    variant = {"arch": "resnet18", "classes": 2, "short_side": 64, "attention": [site], "labels": ["a", "b"], "outputs": "sigmoid",
               "variant": {"hidden": [4], "grey": True}}
    shapes = "backbone.conv1.weight 64 3 7 7\nattention.layer1_0.se.fc1.weight 4 64"
    yield "tensors", b"\2" + json.dumps(variant).encode() + b"\n\n" + shapes.encode()
    for place, text in enumerate((TESTS / "golden/layouts/layouts.txt").read_text().split("= ")[1:]):
        if len(text) <= LONGEST:
            # A narrower classifier of VGG: the target passes over networks of more values than it makes numbers of in a second.
            yield f"layout-{place}", b"\3" + text.split("\n", 1)[1].replace(" 4096", " 64").encode()


def truth():
    image, place = {"id": 1, "file_name": "a.jpg", "width": 9, "height": 7}, {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3.5, 4]}
    other = {"id": "x", "file_name": "b/c.png"}
    coco = {"images": [image, other], "annotations": [place, place | {"id": 2, "iscrowd": 1}, place | {"image_id": "x"}],
            "categories": [{"id": 1, "name": "cat"}]}
    yield "coco", b"\0" + json.dumps(coco).encode()
    yield "coco-nan", b"\0" + json.dumps(coco).replace("3.5", "NaN").encode()
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6.5</ymax></bndbox>"
    size = "<size><width>9</width><height>7</height></size>"
    voc = f"<annotation><filename>a.jpg</filename>{size}<object><name>d&#111;g</name>{box}</object><object/></annotation>"
    yield "voc", b"\2" + voc.encode()
    yield "voc-doctype", b"\2<?xml version='1.0'?><!DOCTYPE annotation [<!ENTITY a 'b'>]>" + voc.replace("a.jpg", "<![CDATA[a.jpg]]>").encode()
    yield "table", b"\1" + (TESTS / "golden/eval/truth.tsv").read_bytes()
    yield "corners", b"\1image,label,x1,y1,x2,y2\n\"a \"\"b\"\".jpg\",cat,1,2,3,4\r\nb/c.png;dog\n\"two\nlines\",0,1,1,2,2\n"
    yield "utf-16", b"\1" + "image;class;box\nä.jpg;two words;1,2,3,4\n".encode("utf-16")


def tar(kind):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name in "a.jpg", "./b/c.png", "a.jpg", "x" * 120 + ".png", "ä.gif":
            entry = tarfile.TarInfo(name)
            entry.size = 3
            archive.addfile(entry, io.BytesIO(b"abc"))
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def files():
    yield "gnu", b"\0" + tar(tarfile.GNU_FORMAT)
    yield "pax", b"\0" + tar(tarfile.PAX_FORMAT)
    yield "cache", b"\1" + b"f7a32c3ef1e2a8d1 key [1.0,2.0]\nbroken\n"
    yield "labels", b"\2cat\n dog \r\ntwo words\n"
    yield "labels-utf-16", b"\2" + "cat\ndog".encode("utf-16")


def words():
    text = ("fused", "spatial:stage5", "patch", "patch:3", "patch:stage7:0", "patch@12, 7", "channel:stage5", "rollout", "output:1:2",
            "Grad-CAM++:layer3.5", "rise", "gradcam:head", "efficientnet-lite0", "resnet50", "fixed:0,1.5", "image", "bicubic", "jet",
            "max-mean", "3x3", "sigmoid", "png", "n02123045", "tiger cat\ncat\ndog", "-1", "\u202e\x1b[31m")
    for place, word in enumerate(text):
        yield f"{place}", word.encode()


TARGETS = {"files": files, "graph": graph, "jpeg": jpegs, "network": network, "onnx": onnx, "pictures": pictures, "png": pngs, "safetensors": safetensors,
           "tiff": tiffs, "torch": torch, "truth": truth, "words": words}


def main(folder):
    for target, seeds in TARGETS.items():
        own = Path(folder) / target
        own.mkdir(parents=True, exist_ok=True)
        for name, data in seeds():
            if len(data) <= LONGEST:
                (own / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
