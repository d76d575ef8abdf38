// A headless Chromium for the tests. A page that asks anything of a network, writes an error to the console or breaks its own
// Content-Security-Policy fails its test.

import assert from "node:assert/strict";
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

export const SIZES = { desk: { width: 1400, height: 900 }, tablet: { width: 800, height: 1100 }, phone: { width: 390, height: 844 } };

/** @param {string[]} more */
export async function launch(...more) {
    return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...ARGUMENTS, ...more] });
}

const TYPES = { ".html": "text/html", ".wasm": "application/wasm" };

/**
 * A host of a folder's files, for this machine alone.
 * @param {string} folder
 */
export async function serve(folder) {
    const server = createServer(({ url = "/" }, response) => {
        const file = path.join(folder, path.basename(url === "/" ? "index.html" : url));
        if (!existsSync(file)) return response.writeHead(404).end();
        const { size } = statSync(file);
        response.writeHead(200, { "Content-Type": TYPES[path.extname(file)], "Content-Length": size });
        return createReadStream(file).pipe(response);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    return { address: `http://127.0.0.1:${port}/`, close: () => server.close() };
}

/**
 * Opens a page by its file, or by its address on a host. `clean` asserts that it kept to itself; `requests` are the addresses that it
 * asked for.
 * @param {import("playwright-core").Browser} browser
 * @param {string} file
 * @param {import("playwright-core").BrowserContextOptions & { hash?: string, until?: "commit" | "domcontentloaded" }} [options]
 */
export async function open(browser, file, { hash = "", until = "domcontentloaded", ...options } = {}) {
    const context = await browser.newContext({ viewport: SIZES.desk, acceptDownloads: true, ...options });
    const tab = await context.newPage();
    const address = file.startsWith("http:") ? file : pathToFileURL(file).href;
    const beside = address.replace(/\.html$/, "_files/");
    /** @type {string[]} */
    const faults = [];
    /** @type {string[]} */
    const requests = [];
    tab.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    tab.on("pageerror", (error) => faults.push(`error: ${error.stack ?? error}`));
    tab.on("request", (request) => {
        const url = request.url();
        const own = url.startsWith(address) || url.startsWith(beside) || url.startsWith("data:") || url.startsWith("blob:");
        if (!own) faults.push(`request: ${url.slice(0, 200)}`);
        if (!/^(data|blob):/.test(url)) requests.push(url);
    });
    await tab.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => {
            console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
        });
    });
    const begun = performance.now();
    await tab.goto(address + hash, { waitUntil: until });
    const clean = () => assert.deepEqual(faults, []);
    return { tab, context, clean, faults, requests, begun };
}

/**
 * Waits until an expression holds in a page. A page's policy forbids what playwright has for that.
 * @param {import("playwright-core").Page} tab
 * @param {string} expression
 * @param {number} [patience]   in milliseconds
 */
export async function until(tab, expression, patience = 30_000) {
    for (const begun = Date.now(); !(await tab.evaluate(`Boolean(${expression})`)); ) {
        const status = () => tab.evaluate(`document.querySelector("#live-status")?.textContent ?? ""`);
        assert.ok(Date.now() - begun < patience, `never ${expression}; ${await status()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/**
 * What a picture's file shows: its pixels, RGBA, as a browser decodes them.
 * @param {import("playwright-core").Page} tab
 * @param {Buffer} png
 */
export async function pixelsOf(tab, png) {
    const { size, base64 } = await tab.evaluate(async (text) => {
        const image = new Image();
        image.src = `data:image/png;base64,${text}`;
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const pen = canvas.getContext("2d", { willReadFrequently: true });
        pen.drawImage(image, 0, 0);
        const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
        let binary = "";
        for (let at = 0; at < data.length; at += 32768) binary += String.fromCharCode(...data.subarray(at, at + 32768));
        return { size: [canvas.width, canvas.height], base64: btoa(binary) };
    }, png.toString("base64"));
    return { size, data: new Uint8ClampedArray(Buffer.from(base64, "base64")) };
}
