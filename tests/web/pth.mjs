// A weights file as torch.save writes it: a zip, not compressed, of a pickle that names tensors and of their numbers.

import { writeFileSync } from "node:fs";
import { crc32 } from "node:zlib";

/** @typedef {{ shape: number[], values: Float32Array | BigInt64Array }} Tensor */

/**
 * Numbers in [0, 1), the same for the same seed (mulberry32).
 * @param {number} seed
 */
function generator(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

/**
 * The tensors of a ResNet-18 of torchvision, with numbers of which something comes through to the classes.
 * @param {number} seed
 */
function resnet18(seed) {
    const random = generator(seed);
    /** @type {Map<string, Tensor>} */
    const tensors = new Map();
    const between = (/** @type {number[]} */ shape, /** @type {number} */ low, /** @type {number} */ high) => {
        const count = shape.reduce((product, side) => product * side, 1);
        return { shape, values: Float32Array.from({ length: count }, () => low + (high - low) * random()) };
    };
    const weight = (/** @type {string} */ name, /** @type {number[]} */ shape) => {
        const bound = Math.sqrt(6 / shape.slice(1).reduce((product, side) => product * side, 1));
        tensors.set(`${name}.weight`, between(shape, -bound, bound));
    };
    const norm = (/** @type {string} */ name, /** @type {number} */ channels) => {
        tensors.set(`${name}.weight`, between([channels], 0.3, 0.9));
        tensors.set(`${name}.bias`, between([channels], -0.2, 0.2));
        tensors.set(`${name}.running_mean`, between([channels], -0.1, 0.1));
        tensors.set(`${name}.running_var`, between([channels], 0.5, 1.5));
        tensors.set(`${name}.num_batches_tracked`, { shape: [], values: BigInt64Array.of(100n) });
    };
    weight("conv1", [64, 3, 7, 7]);
    norm("bn1", 64);
    let before = 64;
    for (const [at, channels] of [64, 128, 256, 512].entries()) {
        for (const block of [0, 1]) {
            const name = `layer${at + 1}.${block}`;
            weight(`${name}.conv1`, [channels, before, 3, 3]);
            norm(`${name}.bn1`, channels);
            weight(`${name}.conv2`, [channels, channels, 3, 3]);
            norm(`${name}.bn2`, channels);
            if (before !== channels) {
                weight(`${name}.downsample.0`, [channels, before, 1, 1]);
                norm(`${name}.downsample.1`, channels);
            }
            before = channels;
        }
    }
    weight("fc", [1000, 512]);
    tensors.set("fc.bias", between([1000], -0.1, 0.1));
    return tensors;
}

/** The strides of a tensor that lies row after row. @param {number[]} shape */
const stridesOf = (shape) => shape.map((_, at) => shape.slice(at + 1).reduce((product, side) => product * side, 1));

/**
 * A state dict as a pickle of protocol 2.
 * @param {Map<string, Tensor>} tensors
 */
function pickled(tensors) {
    const text = (/** @type {string} */ words) => {
        const head = Buffer.from([0x58, 0, 0, 0, 0]); // BINUNICODE
        head.writeUInt32LE(Buffer.byteLength(words), 1);
        return Buffer.concat([head, Buffer.from(words)]);
    };
    const whole = (/** @type {number} */ value) => {
        const bytes = Buffer.from([0x4a, 0, 0, 0, 0]); // BININT
        bytes.writeInt32LE(value, 1);
        return bytes;
    };
    const mark = "(";
    const tuple = (/** @type {(Buffer | string)[]} */ ...parts) => [mark, ...parts, "t"];
    const global = (/** @type {string} */ module, /** @type {string} */ name) => `c${module}\n${name}\n`;
    const ordered = [global("collections", "OrderedDict"), ")R"];
    const tensor = (/** @type {Tensor} */ { shape, values }, /** @type {number} */ key) => {
        const kind = values instanceof Float32Array ? "FloatStorage" : "LongStorage";
        const storage = tuple(text("storage"), global("torch", kind), text(String(key)), text("cpu"), whole(values.length));
        const sides = (/** @type {number[]} */ numbers) => tuple(...numbers.map(whole));
        const made = tuple(...storage, "Q", whole(0), ...sides(shape), ...sides(stridesOf(shape)), "\x89", ...ordered);
        return [global("torch._utils", "_rebuild_tensor_v2"), ...made, "R"];
    };
    const items = [...tensors].flatMap(([name, value], key) => [text(name), ...tensor(value, key)]);
    // What `state_dict` has besides: a version for each part, as an attribute.
    const version = [...ordered, mark, text(""), "}", mark, text("version"), whole(1), "u", "u"];
    const metadata = ["}", mark, text("_metadata"), ...version, "u", "b"];
    const parts = ["\x80\x02", ...ordered, mark, ...items, "u", ...metadata, "."];
    return Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)));
}

/**
 * A zip of files that are not compressed.
 * @param {[string, Buffer][]} files
 */
function zipped(files) {
    const parts = [];
    const directory = [];
    let at = 0;
    for (const [name, body] of files) {
        const path = Buffer.from(`archive/${name}`);
        const fields = Buffer.alloc(26);
        fields.writeUInt16LE(20, 0); // the version that reads it
        fields.writeUInt16LE(0x21, 8); // the first day of 1980
        fields.writeUInt32LE(crc32(body), 10);
        fields.writeUInt32LE(body.length, 14);
        fields.writeUInt32LE(body.length, 18);
        fields.writeUInt16LE(path.length, 22);
        parts.push(Buffer.from("PK\x03\x04"), fields, path, body);
        const place = Buffer.alloc(14);
        place.writeUInt32LE(at, 10);
        directory.push(Buffer.from("PK\x01\x02\x14\x00"), fields, place, path);
        at += 4 + fields.length + path.length + body.length;
    }
    const end = Buffer.alloc(18);
    end.writeUInt16LE(files.length, 4);
    end.writeUInt16LE(files.length, 6);
    end.writeUInt32LE(directory.reduce((sum, { length }) => sum + length, 0), 8);
    end.writeUInt32LE(at, 12);
    return Buffer.concat([...parts, ...directory, Buffer.from("PK\x05\x06"), end]);
}

/**
 * Writes the weights of a ResNet-18 as torch.save does, always the same: 47 MB.
 * @param {string} path
 */
export function writeResnet18(path) {
    const tensors = resnet18(18);
    const numbers = [...tensors.values()].map(({ values }, key) => {
        const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
        return /** @type {[string, Buffer]} */ ([`data/${key}`, bytes]);
    });
    const files = /** @type {[string, Buffer][]} */ ([
        ["data.pkl", pickled(tensors)],
        ["byteorder", Buffer.from("little")],
        ...numbers,
        ["version", Buffer.from("3\n")],
    ]);
    writeFileSync(path, zipped(files));
}
