// The report of cbam-eval: every picture with its maps and the truth as it is, curves and tables that answer.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { assertForAll } from "./axe.mjs";
import { launch, open } from "./browser.mjs";
import { PHOTOS, workshop } from "./programs.mjs";

const NAMES = ["astronaut", "chelsea", "coffee", "rocket"];
const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
    browser = await launch();
    mkdirSync(shop.at("photos"));
    for (const name of NAMES) copyFileSync(path.join(PHOTOS, `${name}.jpg`), shop.at(`photos/${name}.jpg`));
    copyFileSync(path.join(PHOTOS, "truth.csv"), shop.at("truth.csv"));
    const words = ["--maps", "fused,gradcam,spatial", "--measure", "faithfulness", "--steps", "8", "--quiet"];
    shop.run("cbam-eval", "--images", "photos", "--truth", "truth.csv", "--report", "r", ...words);
});
after(() => browser.close());

async function opened(options = {}) {
    const view = await open(browser, shop.at("r/report.html"), options);
    await view.tab.evaluate("page.ready");
    return view;
}

/** What cbam-eval measured of each picture and map: the rows of scores.csv. */
function scores() {
    const [header, ...rows] = readFileSync(shop.at("r/scores.csv"), "utf8").trim().split("\n").map((line) => line.split(","));
    return rows.map((row) => Object.fromEntries(header.map((name, at) => [name, row[at]])));
}

test("every picture is in the gallery, in the order of what was measured", async () => {
    const { tab, clean } = await opened();
    assert.equal(await tab.locator("#cards .card").count(), NAMES.length);
    assert.equal(await tab.locator("#gallery-map").inputValue(), "fused");
    await tab.locator("#sort").selectOption("measure:iou");
    await tab.evaluate("page.settled()");
    const shown = await tab.locator("#cards .card .name").evaluateAll((names) => names.map(({ title }) => title));
    const measured = scores().filter(({ map, view }) => map === "fused" && view === "clean");
    const order = measured.sort((a, b) => Number(b.iou) - Number(a.iou)).map(({ image }) => image);
    assert.deepEqual(shown.map((name) => path.basename(name)), order);
    clean();
});

test("the command, the date and the main figures stand on top, and the contents lead to each part", async () => {
    const { tab, clean } = await opened();
    const command = (await tab.locator("#report-command").textContent()) ?? "";
    assert.match(command, /^cbam-eval --images photos --truth truth\.csv --report r --maps fused,gradcam,spatial/);
    const summary = (await tab.locator("#summary").textContent()) ?? "";
    assert.match(summary, /top-1/);
    assert.match(summary, /20\d\d-\d\d-\d\d/);
    assert.match(summary, /cbam-eval \d/);
    for (const link of await tab.locator(".contents a").all()) {
        const id = ((await link.getAttribute("href")) ?? "").slice(1);
        assert.ok(await tab.locator(`[id="${id}"]`).count(), id);
        await link.click();
        assert.ok(await tab.locator("#gallery").isVisible(), "an anchor is no picture");
    }
    clean();
});

test("curves say their values, by pointer and by keys", async () => {
    const { tab, clean } = await opened();
    const chart = tab.locator("figure.chart[data-chart]").filter({ has: tab.locator("svg[aria-label='Insertion']") });
    const { x, curves } = JSON.parse((await chart.getAttribute("data-chart")) ?? "{}");
    assert.equal(x.length, 9);
    await chart.scrollIntoViewIfNeeded();
    const box = await chart.locator("svg").first().boundingBox();
    await tab.mouse.move(box.x + box.width * 0.55, box.y + box.height * 0.5);
    await tab.evaluate("page.settled()");
    const said = (await chart.textContent()) ?? "";
    for (const { name } of curves) assert.ok(said.includes(name), name);
    clean();
});

test("a picture shows its truth and its measures", async () => {
    const { tab, clean } = await opened();
    await tab.locator("#cards .card a").nth(2).click();
    await tab.locator("#viewer:not([hidden])").waitFor();
    await tab.evaluate("page.settled()");
    assert.ok(await tab.locator("#measured-panel").isVisible());
    const name = path.basename(await tab.evaluate("page.state().picture.name"));
    const { iou } = scores().find((row) => row.image === name && row.map === "fused" && row.view === "clean");
    const shown = (await tab.locator("#measured").textContent()) ?? "";
    assert.ok(shown.includes(Number(iou).toFixed(2)) || shown.includes((100 * Number(iou)).toFixed(1)), `${iou}: ${shown}`);
    assert.ok(await tab.locator("#truth").isVisible());
    clean();
});

test("masks are outlined as they are, and boxes as boxes", async () => {
    mkdirSync(shop.at("masks"));
    // A mask of a disc, made by the page's own browser.
    const { tab, context } = await open(browser, shop.at("r/report.html"));
    const disc = await tab.evaluate(() => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [451, 300];
        const pen = canvas.getContext("2d");
        pen.fillStyle = "black";
        pen.fillRect(0, 0, 451, 300);
        pen.fillStyle = "white";
        pen.beginPath();
        pen.arc(200, 150, 90, 0, 7);
        pen.fill();
        return canvas.toDataURL("image/png").split(",")[1];
    });
    await context.close();
    writeFileSync(shop.at("masks/chelsea.png"), Buffer.from(disc, "base64"));
    const words = ["--maps", "fused", "--measure", "none", "--quiet"];
    const run = shop.tried("cbam-eval", "--images", "photos", "--truth", "masks", "--report", "m", ...words);
    const view = await open(browser, shop.at("m/report.html"));
    await view.tab.evaluate("page.ready");
    const truths = await view.tab.evaluate("JSON.parse(document.getElementById('head').textContent).pictures.map(({ truth }) => truth)");
    const truth = truths.find((truth) => truth?.mask);
    assert.ok(truth, run.stderr);
    assert.deepEqual(truth.boxes, [], "a mask is no box");
    assert.deepEqual(truth.mask.grid, [86, 128]);

    // It is told apart from the line around the map's highest part, which is white.
    await view.tab.locator("#cards .card").filter({ hasText: "chelsea" }).locator("a").click();
    await view.tab.locator("#viewer:not([hidden])").waitFor();
    await view.tab.locator("#contour-on").check();
    await view.tab.evaluate("page.settled()");
    const has = (/** @type {string} */ id, /** @type {number[]} */ colour) =>
        view.tab.evaluate(
            ([id, colour]) => {
                const canvas = document.getElementById(id);
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                return data.some((_, at) => at % 4 === 0 && data[at + 3] === 255 && colour.every((part, of) => data[at + of] === part));
            },
            [id, colour],
        );
    const [white, purple] = [[255, 255, 255], [200, 0, 200]];
    assert.deepEqual([await has("layer", white), await has("layer", purple)], [true, false]);
    assert.deepEqual([await has("truth", white), await has("truth", purple)], [false, true]);
    view.clean();
});

test("nobody is left out of the report", () => assertForAll(opened));
