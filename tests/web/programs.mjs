// The programs whose pages and pictures the tests compare, and the files that they write.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = path.resolve(fileURLToPath(new URL("../..", import.meta.url)));
export const PHOTOS = path.join(ROOT, "assets/images");

const TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, "target");
/** What `make web` makes: the live page in its two forms. CBAM_LIVE names another folder. */
export const LIVE = process.env.CBAM_LIVE ?? path.join(TARGET, "web");
const LIGHT = path.join(TARGET, "release/cbam");

/** A folder that is gone after the tests, with the programs by their names in `bin`. */
export function workshop() {
    const folder = mkdtempSync(path.join(tmpdir(), "cbam-web-"));
    const bin = path.join(folder, "bin");
    mkdirSync(bin);
    for (const name of ["cbam-run", "cbam-eval", "cbam-view"]) symlinkSync(LIGHT, path.join(bin, name));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    const at = (/** @type {string} */ name) => path.join(folder, name);
    const environment = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
    return {
        at,
        /** Runs a program; its standard output. @param {string} program @param {string[]} words */
        run(program, ...words) {
            return execFileSync(path.join(bin, program), words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
        },
        /** Runs a program that may fail. @param {string} program @param {string[]} words */
        tried(program, ...words) {
            return spawnSync(path.join(bin, program), words, { cwd: folder, encoding: "utf8" });
        },
        /** Starts a program that goes on. @param {string} program @param {string[]} words */
        started(program, ...words) {
            return spawn(path.join(bin, program), words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
        },
        /** Runs a line as a shell does. @param {string} line */
        shell: (line) => execFileSync("sh", ["-c", line], { cwd: folder, env: environment, encoding: "utf8" }),
    };
}

/**
 * The numbers of a `.npy` file, float32.
 * @param {string | Buffer} file
 */
export function numbersOf(file) {
    const bytes = typeof file === "string" ? readFileSync(file) : file;
    const length = bytes.readUInt16LE(8);
    const head = bytes.subarray(10, 10 + length).toString("latin1");
    const shape = [...(/'shape': \(([^)]*)\)/.exec(head)?.[1] ?? "").matchAll(/\d+/g)].map(Number);
    const data = bytes.subarray(10 + length);
    const values = Float32Array.from({ length: data.length / 4 }, (_, at) => data.readFloatLE(4 * at));
    return { shape, values };
}

/**
 * The greatest difference, over the greatest number.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 */
export function apart(a, b) {
    if (a.length !== b.length) return Infinity;
    const values = Array.from(b);
    const top = Math.max(...values.map(Math.abs), 1e-30);
    return Math.max(...values.map((value, at) => Math.abs(value - a[at]))) / top;
}

/** The place of the greatest number. @param {ArrayLike<number>} values */
export const peakOf = (values) => Array.from(values).reduce((best, value, at) => (value > values[best] ? at : best), 0);
