// The page of one picture: it draws what cbam-run draws, and answers the pointer, the keys and the class that is typed.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { assertForAll } from "./axe.mjs";
import { launch, open, pixelsOf } from "./browser.mjs";
import { PHOTOS, apart, numbersOf, peakOf, workshop } from "./programs.mjs";

const shop = workshop();
const photo = shop.at("chelsea.png");
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
    browser = await launch();
    // A PNG of the photo alone: decoders of JPEG differ by a level here and there, and the test is of what lies over the photo.
    shop.run("cbam-run", path.join(PHOTOS, "chelsea.jpg"), "--overlay", photo, "--alpha", "0", "--map", "patch");
    shop.run("cbam-run", "chelsea.png", "--html", "page.html", "--labels", labels());
});
after(() => browser.close());

/** Names for the classes that no network has, so that `--labels` is known to reach the page. */
function labels() {
    writeFileSync(shop.at("labels.txt"), Array.from({ length: 1000 }, (_, index) => `kind ${index}\n`).join(""));
    return "labels.txt";
}

async function opened(options = {}) {
    const view = await open(browser, shop.at("page.html"), options);
    await view.tab.evaluate("page.ready");
    return view;
}

/** Chooses a radio button. */
const choose = (tab, name, value) => tab.locator(`input[name="${name}"][value="${value}"]`).check({ force: true });

/** The layer that the page draws, at the photo's size, laid over the photo. */
async function drawn(tab, name) {
    const { size, data } = await pixelsOf(tab, readFileSync(photo));
    const text = await tab.evaluate(
        ([name, size]) => {
            const pixels = page.layerOf(name, size);
            let binary = "";
            for (let at = 0; at < pixels.length; at += 32768) binary += String.fromCharCode(...pixels.subarray(at, at + 32768));
            return btoa(binary);
        },
        [name, size],
    );
    const layer = Buffer.from(text, "base64");
    const over = Uint8ClampedArray.from(data);
    for (let at = 0; at < data.length; at += 4) {
        for (let channel = at; channel < at + 3; channel++) {
            over[channel] = data[channel] + ((layer[channel] - data[channel]) * layer[at + 3]) / 255;
        }
    }
    return over;
}

/** That the page's picture is the program's. */
async function same(tab, name, options) {
    shop.run("cbam-run", "chelsea.png", "--overlay", "o.png", "--map", name, ...options);
    const { data } = await pixelsOf(tab, readFileSync(shop.at("o.png")));
    const ours = await drawn(tab, name);
    let most = 0;
    for (let at = 0; at < data.length; at++) most = Math.max(most, Math.abs(data[at] - ours[at]));
    assert.ok(most <= 2, `${name} ${options.join(" ")}: ${most} of 255`);
}

test("every map is drawn as cbam-run draws it", async () => {
    const { tab, clean } = await opened();
    for (const name of ["fused", "object", "patch", "patch:2", "spatial:stage5", "spatial:stage7", "rollout", "gradcam"]) {
        await same(tab, name, []);
    }
    clean();
});

test("every look is drawn as cbam-run draws it, and the command says how", async () => {
    const { tab, clean } = await opened();
    const command = () => tab.locator("#command").textContent();
    assert.equal(await command(), "cbam-run --labels labels.txt chelsea.png --map fused");

    await choose(tab, "opacity", "constant");
    await choose(tab, "colormap", "viridis");
    await choose(tab, "resample", "nearest");
    await tab.evaluate("page.settled()");
    assert.equal(
        await command(),
        "cbam-run --labels labels.txt chelsea.png --map fused --colormap viridis --opacity constant --resample nearest",
    );
    await same(tab, "fused", ["--opacity", "constant", "--colormap", "viridis", "--resample", "nearest"]);

    await tab.locator("#reset").click();
    await tab.locator("#contour-on").check();
    await choose(tab, "scale", "percentile");
    await tab.locator("#alpha").fill("0.4");
    await tab.evaluate("page.settled()");
    // The very command that the page shows.
    const line = (await command()) ?? "";
    assert.match(line, /--alpha 0\.4 --scale percentile:\S+ --contour \S+$/);
    shop.shell(`${line} --overlay o.png`);
    const { data } = await pixelsOf(tab, readFileSync(shop.at("o.png")));
    const ours = await drawn(tab, "fused");
    const most = data.reduce((most, value, at) => Math.max(most, Math.abs(value - ours[at])), 0);
    assert.ok(most <= 2, `${line}: ${most} of 255`);
    clean();
});

test("the command has the words of the map's method", async () => {
    shop.run("cbam-run", "chelsea.png", "--map", "rise", "--masks", "20", "--size", "64", "--html", "rise.html");
    const { tab, clean } = await open(browser, shop.at("rise.html"));
    await tab.evaluate("page.ready");
    const command = () => tab.locator("#command").textContent();
    assert.equal(await command(), "cbam-run --size 64 chelsea.png --map rise --masks 20");
    await tab.locator("#map-select").selectOption("object");
    await tab.evaluate("page.settled()");
    assert.equal(await command(), "cbam-run --size 64 chelsea.png --map object", "an option without effect is an error");
    clean();
});

test("a patch shows where it looks, and what looks at it", async () => {
    const { tab, clean } = await opened();
    const box = await tab.locator("#photo").boundingBox();
    const grid = (await tab.evaluate("page.state().picture.attention[0].grid")) ?? [];
    await choose(tab, "mode", "looks");
    for (const [row, column] of [
        [0, 0],
        [5, 8],
        [grid[0] - 1, grid[1] - 1],
    ]) {
        const part = [(column + 0.5) / grid[1], (row + 0.5) / grid[0]];
        await tab.mouse.move(box.x + part[0] * box.width, box.y + part[1] * box.height);
        await tab.evaluate("page.settled()");
        const shown = await tab.evaluate("({ ...page.map(), values: [...page.map().values] })");
        const name = `patch@${Math.floor(part[0] * 451)},${Math.floor(part[1] * 300)}`;
        shop.run("cbam-run", "chelsea.png", "--map", name, "--maps-dir", "m");
        const { shape, values } = numbersOf(shop.at("m/chelsea.npy"));
        assert.deepEqual(shown.grid, shape);
        assert.equal(peakOf(shown.values), peakOf(values), `the peak of the row of ${row}, ${column}`);
        assert.ok(apart(shown.values, values) < 1e-4, `the row of ${row}, ${column}`);
    }
    // A column: of each patch the weight to this one.
    await choose(tab, "mode", "looked");
    await tab.evaluate("page.settled()");
    const column = await tab.evaluate("[...page.map().values]");
    const last = column.length - 1;
    const rows = await tab.evaluate(
        `Array.from({ length: ${column.length} }, (_, from) => weightsOf(page.state().picture.attention[0], null, from, "looks")[${last}])`,
    );
    assert.ok(apart(column, rows) < 1e-6);
    // A head of its own is another row than the mean.
    const mean = await tab.evaluate("[...page.map().values]");
    await choose(tab, "heads", "1");
    await tab.evaluate("page.settled()");
    assert.ok(apart(await tab.evaluate("[...page.map().values]"), mean) > 0.01);
    clean();
});

test("a click pins, and keys do all that a pointer does", async () => {
    const { tab, clean } = await opened();
    await tab.locator("#photo").focus();
    const values = () => tab.locator("#values").getAttribute("data-words");
    const first = await values();
    await tab.keyboard.press("ArrowRight");
    await tab.evaluate("page.settled()");
    assert.notEqual(await values(), first);
    await tab.keyboard.press("Enter");
    await tab.evaluate("page.settled()");
    assert.match((await values()) ?? "", /^Pinned/);
    await tab.keyboard.press("Shift+ArrowDown");
    await tab.evaluate("page.settled()");
    assert.match((await values()) ?? "", /Pin to here .* uniform/);
    assert.match((await tab.locator("#announcer").textContent()) ?? "", /Pinned/);
    await tab.keyboard.press("Escape");
    await tab.evaluate("page.settled()");
    assert.doesNotMatch((await values()) ?? "", /^Pinned/);
    await tab.keyboard.press("?");
    assert.ok(await tab.locator("dialog#keys").isVisible());
    await tab.keyboard.press("Escape");
    assert.ok(!(await tab.locator("dialog#keys").isVisible()));
    await tab.locator("#photo").click({ position: { x: 100, y: 80 } });
    await tab.evaluate("page.settled()");
    assert.match((await values()) ?? "", /^Pinned/);
    assert.ok(await tab.locator(".mark.pinned").first().isVisible());
    clean();
});

test("a class that is typed gives the maps of cbam-run --class", async () => {
    const { tab, clean } = await opened();
    const input = tab.locator("#class-input");
    await input.fill("kind 281");
    await tab.locator("[role=option]").first().waitFor();
    await input.press("ArrowDown");
    await input.press("Enter");
    await tab.evaluate("page.settled()");
    const names = ["fused", "object", "gradcam"];
    shop.run("cbam-run", "chelsea.png", "--class", "281", ...names.flatMap((name) => ["--map", name]), "--maps-dir", "m");
    for (const name of names) {
        await tab.locator("#map-select").selectOption(name);
        await tab.evaluate("page.settled()");
        const shown = await tab.evaluate("[...page.map().values]");
        const { values } = numbersOf(shop.at(`m/chelsea.${name}.npy`));
        assert.ok(apart(shown, values) < 1e-3, `${name}: ${apart(shown, values)}`);
        assert.equal(peakOf(shown), peakOf(values), name);
    }
    assert.match((await tab.locator("#command").textContent()) ?? "", /--class 281/);
    assert.match((await tab.locator("#facts").textContent()) ?? "", /kind 281/);
    clean();
});

test("what is taken away is what is shown", async () => {
    const { tab, clean } = await opened();
    const taken = async (button) => {
        const [download] = await Promise.all([tab.waitForEvent("download"), tab.locator(button).click()]);
        return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
    };
    const { name, bytes } = await taken("#save-npy");
    assert.equal(name, "chelsea.fused.npy");
    shop.run("cbam-run", "chelsea.png", "--map", "fused", "--maps-dir", "m");
    const [ours, theirs] = [numbersOf(bytes), numbersOf(shop.at("m/chelsea.npy"))];
    assert.deepEqual(ours.shape, theirs.shape);
    const step = (Math.max(...theirs.values) - Math.min(...theirs.values)) / 65535;
    const most = Math.max(...theirs.values.map((value, at) => Math.abs(value - ours.values[at])));
    assert.ok(most <= step, "within half a step of 16 bits, and rounding");
    const picture = await taken("#save-png");
    assert.deepEqual((await pixelsOf(tab, picture.bytes)).size, [451, 300]);
    clean();
});

test("two maps are compared, and gates and small pictures answer", async () => {
    const { tab, clean } = await opened();
    await tab.locator('.tile[data-map="object"]').click();
    await tab.evaluate("page.settled()");
    assert.equal(await tab.evaluate("page.map().name"), "object");
    await choose(tab, "compare", "swipe");
    await tab.locator("#other-select").selectOption("gradcam");
    await tab.locator("#swipe").focus();
    const before = await tab.locator("#swipe").getAttribute("aria-valuenow");
    await tab.keyboard.press("ArrowRight");
    await tab.evaluate("page.settled()");
    assert.notEqual(await tab.locator("#swipe").getAttribute("aria-valuenow"), before);
    await choose(tab, "compare", "side");
    await tab.evaluate("page.settled()");
    assert.match((await tab.locator("#command").textContent()) ?? "", /--compare object,gradcam/);
    await tab.locator("#gate-bars").focus();
    await tab.keyboard.press("ArrowRight");
    await tab.evaluate("page.settled()");
    assert.ok(await tab.locator("#feature").isVisible());
    clean();
});

test("nobody is left out, in light and dark, on a desk and on a phone", () => assertForAll(opened));
