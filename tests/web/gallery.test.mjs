// The page of many pictures: its order, its filters, the way to a picture and back, and that of a thousand only those in sight are drawn.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { assertForAll } from "./axe.mjs";
import { launch, open, until } from "./browser.mjs";
import { PHOTOS, workshop } from "./programs.mjs";

const NAMES = ["astronaut", "chelsea", "coffee", "rocket"];

const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;
/** What cbam-run says of each picture. @type {any[]} */
let report;

before(async () => {
    browser = await launch();
    mkdirSync(shop.at("photos"));
    for (const name of NAMES) copyFileSync(path.join(PHOTOS, `${name}.jpg`), shop.at(`photos/${name}.jpg`));
    writeFileSync(shop.at("photos/broken.jpg"), "no picture");
    const run = shop.tried("cbam-run", "photos", "--html", "page.html", "--json", "r.json");
    assert.equal(run.status, 1, run.stderr);
    report = JSON.parse(readFileSync(shop.at("r.json"), "utf8"));
});
after(() => browser.close());

async function opened(options = {}) {
    const view = await open(browser, shop.at("page.html"), options);
    await view.tab.evaluate("page.ready");
    return view;
}

/** The pictures that are shown, by their names as the report has them. */
const namesOf = (tab) => tab.locator("#cards .card .name").evaluateAll((names) => names.map(({ title }) => title));

test("pictures are in the order of the report's numbers", async () => {
    const { tab, clean } = await opened();
    const seen = report.filter(({ error }) => !error);
    assert.deepEqual(await namesOf(tab), seen.map(({ input }) => input));
    const numbers = {
        probability: ({ top }) => top[0].probability,
        entropy: ({ maps }) => maps.fused.entropy,
        coverage: ({ maps }) => maps.fused.coverage,
    };
    for (const [key, number] of Object.entries(numbers)) {
        await tab.locator("#sort").selectOption(key);
        await tab.evaluate("page.settled()");
        const order = [...seen].sort((a, b) => number(b) - number(a)).map(({ input }) => input);
        assert.deepEqual(await namesOf(tab), order, key);
        await tab.locator("#order").click();
        await tab.evaluate("page.settled()");
        assert.deepEqual(await namesOf(tab), order.reverse(), `${key}, the other way round`);
    }
    clean();
});

test("filters leave what fits, and errors are listed", async () => {
    const { tab, clean } = await opened();
    await tab.locator("#name-filter").fill("COFF");
    await tab.evaluate("page.settled()");
    assert.deepEqual(await namesOf(tab), ["photos/coffee.jpg"]);
    await tab.locator("#name-filter").fill("");
    await tab.locator("#class-filter").fill("egyptian");
    await tab.locator("#class-filter-list [role=option]").first().click();
    await tab.evaluate("page.settled()");
    assert.deepEqual(await namesOf(tab), ["photos/chelsea.jpg"]);
    assert.match((await tab.locator("#count").textContent()) ?? "", /1 of 4/);
    await tab.locator("#errors-only").check();
    await tab.evaluate("page.settled()");
    assert.deepEqual(await namesOf(tab), []);
    const { error } = report.find(({ error }) => error);
    assert.match((await tab.locator("#error-list").textContent()) ?? "", /broken\.jpg/);
    assert.ok(((await tab.locator("#error-list").textContent()) ?? "").includes(error));
    clean();
});

test("keys lead to a picture, to the next, and back", async () => {
    const { tab, clean } = await opened();
    await tab.locator("#cards .card a").first().focus();
    await tab.keyboard.press("ArrowRight");
    await tab.keyboard.press("Enter");
    await tab.locator("#viewer:not([hidden])").waitFor();
    assert.match(await tab.title(), /chelsea/);
    assert.match(tab.url(), /#2$/, "the second of those that were read is the third of all");
    await tab.keyboard.press("n");
    await until(tab, "document.title.includes('coffee')");
    await tab.keyboard.press("Escape");
    await tab.locator("#gallery:not([hidden])").waitFor();
    // The weights among many are the mean over heads.
    await tab.goto(`${tab.url().split("#")[0]}#2`);
    await tab.locator("#viewer:not([hidden])").waitFor();
    assert.deepEqual(await tab.evaluate("page.state().picture.attention.map(({ heads, mean }) => [heads, mean])"), [[1, true]]);
    clean();
});

test("nobody is left out of the gallery", () => assertForAll(opened));

test("of a thousand pictures those in sight are drawn", async (context) => {
    mkdirSync(shop.at("many"));
    for (let index = 0; index < 1000; index++) {
        symlinkSync(path.join(PHOTOS, `${NAMES[index % 4]}.jpg`), shop.at(`many/${String(index).padStart(4, "0")}.jpg`));
    }
    shop.run("cbam-run", "many", "--html", "many.html", "--quiet");
    const bytes = readFileSync(shop.at("many.html")).length;
    assert.ok(bytes < 150e6, `${bytes} bytes`);
    const { tab, clean, begun } = await open(browser, shop.at("many.html"), { until: "commit" });
    await tab.locator("#cards .card canvas").first().waitFor();
    await until(tab, "document.querySelector('#cards .card img').complete");
    await tab.evaluate("page.settled()");
    const took = performance.now() - begun;
    context.diagnostic(`${(bytes / 1e6).toFixed(0)} MB, there in ${took.toFixed(0)} ms`);
    assert.equal(await tab.locator("#cards .card").count(), 1000);
    const shown = await tab.locator("#cards .card img[src]").count();
    const drawn = await tab.locator("#cards .card canvas").evaluateAll((all) => all.filter(({ width, height }) => width && (width !== 300 || height !== 150)).length);
    assert.ok(shown > 0 && shown < 100 && drawn > 0 && drawn < 100, `${shown} photos, ${drawn} maps`);
    // One that stands far behind is there when it is asked for.
    await tab.goto(`${tab.url().split("#")[0]}#999`);
    await tab.locator("#viewer:not([hidden])").waitFor();
    clean();
});
