// The live page, in both its forms: what is dropped, pasted or chosen is looked at as cbam-run looks at it, and nothing leaves.
//
// `make web` makes the files; CBAM_LIVE names another folder of them.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { SERIOUS, faultsOf } from "./axe.mjs";
import { SIZES, launch, open, serve } from "./browser.mjs";
import { LIVE, PHOTOS, ROOT, apart, numbersOf, workshop } from "./programs.mjs";

const FILES = ["index.html", "engine.wasm", "cbam-live.html"];
const NAMES = ["chelsea", "coffee", "astronaut"];
const WEIGHTS = path.join(ROOT, "assets/weights/efficientnet-lite1-attentive.safetensors");
const MAPS = ["fused", "object", "gradcam", "spatial:stage5", "spatial:stage7", "patch", "patch:stage7", "rollout"];
/** How far a number may be from the program's, over the greatest of its kind. */
const NEAR = 1e-4;

const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let host;

before(async () => {
    for (const name of FILES) assert.ok(existsSync(path.join(LIVE, name)), `there is no ${path.join(LIVE, name)}: make web`);
    browser = await launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
    host = await serve(LIVE);
    for (const name of NAMES) {
        shop.run("cbam-run", path.join(PHOTOS, `${name}.jpg`), "--overlay", shop.at(`${name}.png`), "--alpha", "0", "--map", "patch");
    }
    writeFileSync(shop.at("broken.png"), readFileSync(shop.at("coffee.png")).subarray(0, 60));
    writeFileSync(shop.at("broken.safetensors"), "no weights");
});
after(async () => {
    await browser?.close();
    host?.close();
});

/** The forms, and what a page of each asks for. */
const FORMS = {
    "index.html on a host": { page: () => host.address, asks: () => [host.address, `${host.address}engine.wasm`] },
    "cbam-live.html from a file": {
        page: () => path.join(LIVE, "cbam-live.html"),
        asks: () => [new URL(`file://${path.join(LIVE, "cbam-live.html")}`).href],
    },
};

/** The file that an address is of. @param {string} address */
const fileOf = (address) => path.join(LIVE, path.basename(new URL(address).pathname) || "index.html");

/** Waits until an expression holds in the page. The page's policy forbids what playwright has for that. */
async function until(tab, expression) {
    for (const begun = Date.now(); !(await tab.evaluate(`Boolean(${expression})`)); ) {
        assert.ok(Date.now() - begun < 30_000, `never ${expression}; ${await tab.locator("#live-status").textContent()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

const saysOf = (words) => `${words}.test(document.querySelector("#live-status").textContent)`;
const shows = (tab, name) => until(tab, `page.state()?.picture.name === ${JSON.stringify(name)} && !document.querySelector("#viewer").hidden`);

/** Has files arrive in the page as the browser brings them: by "drop" or by "paste". */
async function bring(tab, how, ...files) {
    const given = files.map((file) => ({ name: path.basename(file), base64: readFileSync(file).toString("base64") }));
    await tab.evaluate(
        ([how, given]) => {
            const data = new DataTransfer();
            for (const { name, base64 } of given) {
                const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
                data.items.add(new File([bytes], name, { type: name.endsWith(".png") ? "image/png" : "" }));
            }
            const options = { bubbles: true, cancelable: true };
            if (how === "paste") return document.body.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: data }));
            for (const type of ["dragenter", "dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: data }));
            }
            return true;
        },
        [how, given],
    );
}

async function opened(form, options = {}) {
    const view = await open(browser, form.page(), options);
    await view.tab.evaluate("page.ready");
    return { ...view, started: performance.now() - view.begun };
}

/** How far what the page shows is from what cbam-run says of a picture: probabilities and maps. */
async function difference(tab, name, opening = []) {
    const maps = MAPS.flatMap((map) => ["--map", map]);
    shop.run("cbam-run", ...opening, `${name}.png`, ...maps, "--json", "r.json", "--maps-dir", "maps");
    const [report] = JSON.parse(readFileSync(shop.at("r.json"), "utf8"));
    const { probabilities, values, size } = await tab.evaluate((maps) => {
        const { picture } = page.state();
        const values = maps.map((name) => [...picture.maps.find((map) => map.name === name).values]);
        return { probabilities: [...picture.probabilities], values, size: picture.data.network_size };
    }, MAPS);
    assert.deepEqual(size, [report.network_size.width, report.network_size.height]);
    const top = report.top.map(({ probability }) => probability);
    const differences = MAPS.map((map, at) => apart(values[at], numbersOf(shop.at(`maps/${name}.${map.replaceAll(":", "-")}.npy`)).values));
    return Math.max(apart(report.top.map(({ class: id }) => probabilities[id]), top), ...differences);
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

for (const [name, form] of Object.entries(FORMS)) {
    describe(name, () => {
        test("starts, and looks at what is dropped as cbam-run does", async (t) => {
            const { tab, clean, requests, started } = await opened(form);
            assert.match((await tab.locator("#network-name").textContent()) ?? "", /EfficientNet-Lite0/);
            for (const photo of NAMES) {
                await bring(tab, "drop", shop.at(`${photo}.png`));
                await shows(tab, `${photo}.png`);
                const most = await difference(tab, photo);
                assert.ok(most <= NEAR, `${photo}: ${most}`);
                assert.equal(await tab.locator("#command").textContent(), `cbam-run ${photo}.png --map fused`);
            }
            const looks = [];
            for (let round = 0; round < 5; round++) {
                await bring(tab, "drop", shop.at("chelsea.png"));
                await until(tab, `document.querySelectorAll(".card").length === ${NAMES.length + round + 1}`);
                await until(tab, saysOf("/looked at/"));
                looks.push(parseFloat(/([\d.]+) s/.exec((await tab.locator("#live-status").textContent()) ?? "")?.[1] ?? "NaN"));
            }
            const size = form.asks().reduce((sum, address) => sum + statSync(fileOf(address)).size, 0);
            t.diagnostic(`${(size / 1e6).toFixed(1)} MB, start ${started.toFixed(0)} ms, median look ${(1000 * median(looks)).toFixed(0)} ms`);
            assert.deepEqual(requests, form.asks());
            clean();
        });

        test("opens weights that are dropped, and looks again", async () => {
            const { tab, clean, requests } = await opened(form);
            await bring(tab, "drop", shop.at("chelsea.png"), shop.at("coffee.png"));
            await until(tab, saysOf("/2 pictures looked at/"));
            await tab.locator(".card a").nth(1).click();
            await shows(tab, "coffee.png");
            await bring(tab, "drop", WEIGHTS);
            await until(tab, `page.state().picture.data.network_size[1] === 256 && !document.querySelector(".stale")`);
            assert.equal(await tab.locator("#network-name").textContent(), path.basename(WEIGHTS));
            assert.match((await tab.locator("#command").textContent()) ?? "", /^cbam-run --weights \S+ coffee\.png --map fused$/);
            const most = await difference(tab, "coffee", ["--weights", WEIGHTS]);
            assert.ok(most <= NEAR, `${most}`);

            await tab.locator("#weights-file").setInputFiles(shop.at("broken.safetensors"));
            await until(tab, saysOf("/broken\\.safetensors is not opened: .+ The network stays/"));
            assert.equal(await tab.locator("#network-name").textContent(), path.basename(WEIGHTS));
            await tab.locator("#bundled").click();
            await until(tab, `page.state().picture.data.network_size[1] === 224`);
            const back = await difference(tab, "coffee");
            assert.ok(back <= NEAR, `${back}`);
            assert.deepEqual(requests, form.asks());
            clean();
        });
    });
}

test("several photos make a gallery; a broken one is listed and stops nothing", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await tab.locator("#photo-files").setInputFiles(["chelsea.png", "broken.png", "coffee.png"].map(shop.at));
    await until(tab, saysOf("/2 of 3 pictures looked at; 1 not read/"));
    assert.deepEqual(await tab.locator(".card .name").allTextContents(), ["chelsea.png", "coffee.png"]);
    assert.match((await tab.locator("#error-list").textContent()) ?? "", /^broken\.png .+/);
    await tab.locator("#sort").selectOption("name");
    await tab.locator("#class-filter").fill("espresso");
    await tab.locator("#class-filter").press("Enter");
    await tab.evaluate("page.settled()");
    assert.deepEqual(await tab.locator(".card .name").allTextContents(), ["coffee.png"]);

    // Another comes while a picture is shown, and Back leads to all of them.
    await tab.locator(".card a").click();
    await shows(tab, "coffee.png");
    await bring(tab, "drop", shop.at("astronaut.png"));
    await shows(tab, "astronaut.png");
    await bring(tab, "drop", shop.at("broken.png"));
    await until(tab, saysOf("/broken\\.png is not read: .+/"));
    assert.equal(await tab.locator("h1").textContent(), "astronaut.png", "what is shown stays");
    await tab.goBack();
    await shows(tab, "coffee.png");
    await tab.locator("#back").click();
    await until(tab, `document.querySelector("h1").textContent === "3 pictures"`);
    assert.equal(await tab.locator("#error-list li").count(), 2);
    clean();
});

test("the example, what is pasted and what the camera sees are looked at", async () => {
    const { tab, clean } = await opened(FORMS["cbam-live.html from a file"]);
    await tab.locator("#example-photo").click();
    await shows(tab, "chelsea.jpg");
    assert.equal(await tab.locator(".class").first().getAttribute("data-class"), "285");
    await bring(tab, "paste", shop.at("coffee.png"));
    await shows(tab, "coffee.png");
    await tab.locator("#camera").click();
    await tab.locator("#camera-take:not([disabled])").click();
    await shows(tab, "camera-1.png");
    assert.equal(await tab.evaluate(`document.querySelector("video").srcObject`), null, "the camera is off");
    clean();
});

test("the size is another, for all photos and for the command", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await bring(tab, "drop", shop.at("chelsea.png"), shop.at("coffee.png"));
    await until(tab, saysOf("/2 pictures looked at/"));
    await tab.locator(".card a").first().click();
    await shows(tab, "chelsea.png");
    await tab.locator("#size").selectOption("320");
    await until(tab, `page.state().picture.data.network_size[1] === 320 && !document.querySelector(".stale")`);
    assert.equal(await tab.locator("#command").textContent(), "cbam-run --size 320 chelsea.png --map fused");
    const most = await difference(tab, "chelsea", ["--size", "320"]);
    assert.ok(most <= NEAR, `${most}`);
    await tab.locator(".class").nth(1).click();
    await tab.locator("#size").selectOption("");
    await until(tab, `page.state().picture.data.network_size[1] === 224 && !document.querySelector(".stale")`);
    assert.equal(await tab.locator(".class").nth(1).getAttribute("aria-pressed"), "true", "the class stays");
    await tab.locator("#size").selectOption("320");
    await tab.locator("#next").click();
    await until(tab, `page.state().picture.name === "coffee.png" && page.state().picture.data.network_size[1] === 320`);
    clean();
});

test("a size that is refused says why, and stays what it was", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await bring(tab, "drop", shop.at("chelsea.png"));
    await shows(tab, "chelsea.png");
    // The bundled network refuses none of those that are offered.
    await tab.locator("#size").evaluate((select) => select.add(new Option("4000", "4000")));
    await tab.locator("#size").selectOption("4000");
    await until(tab, saysOf("/^4000 is refused: .+/"));
    assert.equal(await tab.locator("#size").inputValue(), "");
    assert.ok(await tab.locator("#size option[value='4000']").isDisabled());
    assert.equal(await tab.locator("#command").textContent(), "cbam-run chelsea.png --map fused");
    clean();
});

test("a page without its engine says so", async () => {
    const { tab } = await open(browser, path.join(LIVE, "index.html"));
    await tab.evaluate("page.ready");
    assert.match((await tab.locator("#live-status").textContent()) ?? "", /engine\.wasm cannot be read/);
    assert.ok(await tab.locator("#choose").isDisabled());
});

for (const [name, viewport] of Object.entries({ desk: SIZES.desk, phone: SIZES.phone })) {
    test(`axe-core finds nothing serious, ${name}`, async () => {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, clean } = await opened(FORMS["index.html on a host"], { viewport, colorScheme });
            const check = async (/** @type {string} */ state) => {
                const { violations } = await faultsOf(tab);
                const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
                assert.deepEqual(serious.map(({ id, nodes }) => [state, id, nodes[0].target]), []);
                const over = await tab.evaluate("document.documentElement.scrollWidth - innerWidth");
                assert.ok(over <= 0, `${state}: ${over} pixels too wide`);
            };
            await check("empty");
            await bring(tab, "drop", shop.at("chelsea.png"));
            await shows(tab, "chelsea.png");
            await check("one picture");
            await bring(tab, "drop", shop.at("coffee.png"), shop.at("broken.png"));
            await until(tab, saysOf("/not read/"));
            await check("gallery");
            await tab.locator("#camera").click();
            await tab.locator("#camera-take:not([disabled])").waitFor();
            await check("camera");
            clean();
        }
    });
}
