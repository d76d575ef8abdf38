// What the engine sees in WebAssembly is what the program sees: the same pictures and weights through both.
//
// Needs cbam_web.wasm (scripts/wasm.sh -p cbam-web; CBAM_WASM names another) and the light program (cargo build --release -p cbam-cli;
// CBAM names another, by its whole path); without them it fails.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { inflateSync } from "node:zlib";

import { startEngine } from "./engine.mjs";
import { cut, readPng, repaint, turned, writePng } from "./pictures.mjs";
import { writeResnet18 } from "./pth.mjs";

const ROOT = join(import.meta.dirname, "../..");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const WASM = process.env.CBAM_WASM ?? join(TARGET, "wasm/wasm32-unknown-unknown/release/cbam_web.wasm");
const PROGRAM = process.env.CBAM ?? join(TARGET, "release/cbam");
const PHOTOS = ["astronaut", "chelsea", "coffee", "rocket"];
/** How far a probability or a value of a map may be from the program's; of a map over 1, in parts of its greatest value. */
const NEAR = 1e-4;
/** Maps that take many passes, and channel gates, which are none. */
const LEFT_OUT = /^(scorecam|ablationcam|occlusion|rise|channel)/;
const lacking = [WASM, PROGRAM].filter((path) => !existsSync(path));

/** @type {string} */ let folder;
/** @type {any} */ let engine;
/** @type {Record<string, string>} */ const pictures = {};

/** @param {string} name */
const photo = (name) => join(ROOT, "assets/images", `${name}.jpg`);

/** @param {string[]} words */
const program = (...words) => execFileSync(PROGRAM, ["run", "--quiet", ...words], { stdio: ["ignore", "pipe", "inherit"] });

/** The four photos, and six pictures of other kinds that are made of them. */
function makePictures() {
    for (const name of PHOTOS) pictures[name] = photo(name);
    const keep = (/** @type {string} */ name, /** @type {Buffer} */ bytes) => {
        pictures[name] = join(folder, name);
        writeFileSync(pictures[name], bytes);
    };
    const pixels = (/** @type {string} */ name) => {
        const path = join(folder, `${name}-whole.png`);
        program(photo(name), "--overlay", path, "--alpha", "0");
        return readPng(readFileSync(path));
    };
    const grey = (/** @type {number[]} */ [r, g, b]) => [Math.round(0.3 * r + 0.6 * g + 0.1 * b)];
    const deep = (/** @type {number[]} */ pixel, /** @type {number} */ at) =>
        pixel.map((value) => 257 * value - (value > 0 ? (37 * at) % 257 : 0));
    const clear = (/** @type {number[]} */ [r, g, b], /** @type {number} */ at) => [r, g, b, (at >> 3) % 256];
    keep("cut.png", writePng(cut(pixels("chelsea"), [60, 20, 230, 190])));
    keep("long.png", writePng(cut(pixels("rocket"), [300, 5, 70, 420])));
    keep("grey.png", writePng(repaint(pixels("coffee"), grey)));
    keep("deep.png", writePng(repaint(cut(pixels("astronaut"), [100, 0, 300, 260]), deep, Uint16Array)));
    keep("clear.png", writePng(repaint(cut(pixels("coffee"), [50, 40, 320, 240]), clear)));
    keep("turned.jpg", turned(readFileSync(photo("chelsea")), 6));
}

/**
 * The numbers of an array of a record.
 * @param {Buffer} blob
 * @param {any} array
 * @returns {number[]}
 */
function numbers(blob, { type, at, count, low, high }) {
    const read = (/** @type {number} */ index) => {
        if (type === "f32") return blob.readFloatLE(at + 4 * index);
        const part = type === "u16" ? blob.readUInt16LE(at + 2 * index) / 65535 : blob[at + index] / 255;
        return low + (high - low) * part;
    };
    return Array.from({ length: count }, (_, index) => read(index));
}

/** @param {any} picture */
const unpacked = (picture) => inflateSync(Buffer.from(picture.blob, "base64"));

/** The numbers of a `.npy` file. @param {string} path */
function readNpy(path) {
    const bytes = readFileSync(path);
    const from = 10 + bytes.readUInt16LE(8);
    return Array.from({ length: (bytes.length - from) / 4 }, (_, index) => bytes.readFloatLE(from + 4 * index));
}

/**
 * How far numbers are from others, in parts of the greatest of these if that is over 1.
 * @param {number[]} a
 * @param {number[]} b
 */
function farthest(a, b) {
    assert.equal(a.length, b.length);
    const span = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    return a.reduce((most, value, index) => Math.max(most, Math.abs(value - b[index])), 0) / span;
}

/**
 * How far the engine's answer about a picture is from the program's: its probabilities, and its maps.
 * @param {string} path
 * @param {string[]} maps
 * @param {string[]} opening words for the program that open the network
 * @param {{ short_side?: number }} [options]
 */
async function apart(path, maps, opening, options = {}) {
    const out = mkdtempSync(join(folder, "maps-"));
    const words = [...opening, "--maps-dir", out, "--html", join(out, "page.html"), ...maps.flatMap((map) => ["--map", map])];
    program(path, ...words);
    const [, json] = /** @type {RegExpMatchArray} */ (
        readFileSync(join(out, "page.html"), "utf8").match(/class="picture" data-index="0">(.*?)<\/script>/s)
    );
    const theirs = JSON.parse(json);
    const { index, picture } = await engine.look(readFileSync(path), basename(path), { maps, ...options });
    for (const key of ["size", "network_size", "seen", "likeliest", "explained", "notes", "damaged", "rule"]) {
        assert.deepEqual(picture[key], theirs[key], key);
    }
    assert.equal(index.top[0]?.[0], theirs.likeliest ?? undefined);
    const [mine, blob] = [unpacked(picture), unpacked(theirs)];
    const probabilities = farthest(numbers(mine, picture.probabilities), numbers(blob, theirs.probabilities));
    const stem = basename(path).replace(/\.\w+$/, "");
    const values = maps.map((map) => {
        const found = picture.maps.find((/** @type {any} */ other) => other.name === map);
        const name = maps.length > 1 ? `${stem}.${map.replaceAll(":", "-")}.npy` : `${stem}.npy`;
        return farthest(numbers(mine, found.values), readNpy(join(out, name)));
    });
    assert.deepEqual(picture.maps.map((/** @type {any} */ map) => map.name), theirs.maps.map((/** @type {any} */ map) => map.name));
    return { probabilities, maps: Math.max(...values), kept: keptApart(picture, mine, theirs, blob) };
}

/**
 * How far what is kept beside maps is from the program's: attention, gates, classes and features.
 * @param {any} picture
 * @param {Buffer} mine
 * @param {any} theirs
 * @param {Buffer} blob
 */
function keptApart(picture, mine, theirs, blob) {
    const [a, b] = [kept(picture, mine), kept(theirs, blob)];
    assert.equal(a.length, b.length);
    return Math.max(0, ...a.map((values, index) => farthest(values, b[index])));
}

/**
 * @param {any} picture
 * @param {Buffer} blob
 */
function kept({ attention, gates, classes, ground }, blob) {
    const plain = (/** @type {any} */ array) => numbers(blob, array);
    const rows = (/** @type {any} */ scales, /** @type {any} */ values) => {
        const of = plain(scales);
        return plain(values).map((part, index) => part * of[Math.floor((index * of.length) / values.count)]);
    };
    return [
        ...attention.map((/** @type {any} */ layer) => rows(layer.scales, layer.weights)),
        ...gates.map((/** @type {any} */ gate) => plain(gate.channel)),
        ...(classes ? [rows(classes.scales, classes.values)] : []),
        ...(ground ? [plain(ground.lows), plain(ground.highs)] : []),
    ];
}

/**
 * Looks at all pictures with both, and asserts that they see the same.
 * @param {string[]} opening words for the program that open the network
 */
async function assertNear(opening = []) {
    const { maps: all } = await engine.describe();
    const maps = all.filter((/** @type {string} */ map) => !LEFT_OUT.test(map));
    for (const [name, path] of Object.entries(pictures)) {
        const { probabilities, maps: values, kept } = await apart(path, maps, opening);
        const said = [probabilities, values, kept].map((far) => far.toExponential(1));
        console.log(`${name}: probabilities ${said[0]}, maps ${said[1]}, what is kept ${said[2]} apart`);
        assert.ok(probabilities <= NEAR && values <= NEAR && kept <= NEAR, `${name}: ${said}`);
    }
}

/**
 * A module as small as can be that has the engine's functions: all return 0, but for `fault`, which has a fault.
 * @param {string} fault
 */
function stub(fault) {
    const names = ["allocate", "release", "answer", "answer_length", "open_default", "open_weights", "describe", "head", "look"];
    const takes = [1, 1, 0, 0, 0, 2, 0, 1, 3];
    const text = (/** @type {string} */ word) => [word.length, ...Buffer.from(word)];
    const section = (/** @type {number} */ id, /** @type {number[][]} */ parts) => {
        const body = [parts.length, ...parts.flat()];
        return [id, 128 | (body.length & 127), body.length >> 7, ...body];
    };
    const address = [65, 8]; // not 0, which is that there is no memory
    const code = (/** @type {string} */ name) => [0, ...(name === fault ? [0] : name === "allocate" ? address : [65, 0]), 11];
    return Uint8Array.from([
        ...[0, 97, 115, 109, 1, 0, 0, 0],
        ...section(1, takes.map((count) => [96, count, ...Array(count).fill(127), 1, 127])),
        ...section(3, names.map((_, index) => [index])),
        ...section(5, [[0, 1]]),
        ...section(7, [[...text("memory"), 2, 0], ...names.map((name, index) => [...text(`cbam_${name}`), 0, index])]),
        ...section(10, names.map((name) => [code(name).length, ...code(name)])),
    ]);
}

test("after a fault there is a new instance, with the network open again", async () => {
    const faulty = await startEngine(stub("look"));
    await faulty.openDefault();
    await assert.rejects(faulty.look(new Uint8Array(3), "a.jpg", {}), /the engine failed/);
    await assert.rejects(faulty.describe(), SyntaxError, "it answers, if nothing");
    const closed = await startEngine(stub("open_default"));
    await assert.rejects(closed.openDefault(), /the engine failed/);
    await assert.rejects(closed.describe(), SyntaxError);
});

describe("the engine", () => {
    before(async () => {
        assert.deepEqual(lacking, [], "make web and make light build them");
        folder = mkdtempSync(join(tmpdir(), "cbam-engine-"));
        engine = await startEngine(readFileSync(WASM));
        await engine.openDefault();
        makePictures();
    });
    after(() => rmSync(folder, { recursive: true }));

    test("needs nothing of the page, and gives what the page calls", async () => {
        const module = await WebAssembly.compile(readFileSync(WASM));
        assert.deepEqual(WebAssembly.Module.imports(module), []);
        const functions = WebAssembly.Module.exports(module).filter(({ kind }) => kind === "function");
        const stubbed = WebAssembly.Module.exports(await WebAssembly.compile(stub(""))).filter(({ kind }) => kind === "function");
        assert.deepEqual(functions.map(({ name }) => name).sort(), stubbed.map(({ name }) => name).sort());
    });

    test("sees with the bundled network what the program sees", () => assertNear());

    test("gives every map that it says can be asked for", async () => {
        const { maps, choices } = await engine.describe();
        const more = choices.filter((/** @type {string} */ map) => !maps.includes(map) && !LEFT_OUT.test(map));
        const places = ["stage5", "stage7"].flatMap((stage) => [`eigencam:${stage}`, `scorecam:${stage}`]);
        for (const map of [...maps, ...places]) assert.equal(choices.includes(map), !map.startsWith("channel"), map);
        assert.ok(!choices.some((/** @type {string} */ map) => /^(gradcam|layercam):stage/.test(map)), "no gradient goes there");
        const asked = [...more, "scorecam:stage5", "rise"];
        const { maps: far } = await apart(pictures.chelsea, asked, ["--size", "64"], { short_side: 64 });
        assert.ok(far <= NEAR, `${asked}: ${far}`);
    });

    test("takes a class that is asked for, and another size", async () => {
        const options = { class: "espresso", short_side: 320, detail: /** @type {const} */ ("means") };
        const { index, picture } = await engine.look(readFileSync(pictures.coffee), "coffee.jpg", options);
        assert.deepEqual([picture.explained, picture.network_size], [967, [480, 320]]);
        assert.match(index.thumb, /^data:image\/jpeg;base64,/);
        const head = await engine.head({ date: "2026-11-28", command: ["cbam-run"], class: 967 });
        assert.deepEqual([head.format, head.look.class, head.pictures], ["cbam-page", 967, []]);
    });

    test("sees with a weights file what the program sees, and a wrong one changes nothing", async () => {
        const resnet = join(folder, "resnet18.pth");
        writeResnet18(resnet);
        for (const file of [join(ROOT, "assets/weights/efficientnet-lite1-attentive.safetensors"), resnet]) {
            await engine.openWeights(readFileSync(file), basename(file));
            const { name, notes } = await engine.describe();
            assert.equal(name, basename(file));
            console.log([name, ...notes].join("; "));
            await assertNear(["--weights", file]);
        }
        const { name } = await engine.describe();
        await assert.rejects(engine.openWeights(new Uint8Array(100), "no.pth"), /^Error: no\.pth: /);
        assert.equal((await engine.describe()).name, name);
        await engine.openDefault();
    });

    test("says what cannot be looked at, and goes on", async () => {
        const coffee = readFileSync(photo("coffee"));
        const refused = (/** @type {Uint8Array} */ bytes, /** @type {any} */ options, /** @type {RegExp} */ message) =>
            assert.rejects(engine.look(bytes, "a.jpg", options), message);
        await refused(new Uint8Array(0), {}, /a\.jpg: /);
        await refused(coffee.subarray(0, 9000), {}, /a\.jpg: .*libjpeg/);
        await refused(coffee, { class: "no such" }, /class "no such"/);
        await refused(coffee, { size: 3 }, /options: /);
        await refused(coffee, { short_side: 8000 }, /has room for/);
        assert.equal((await engine.look(coffee, "a.jpg", {})).picture.likeliest, 967);
    });

    test("answers one after another what is asked at once", async () => {
        const fresh = await startEngine(readFileSync(WASM));
        await assert.rejects(fresh.describe(), /no network is open/);
        await fresh.openDefault();
        const looks = Array.from({ length: 12 }, () => fresh.look(readFileSync(pictures.chelsea), "a.jpg", {}));
        const answers = await Promise.all(looks);
        answers.forEach((answer) => assert.deepEqual(answer, answers[0], "asked at once, answered alike"));
    });
});
