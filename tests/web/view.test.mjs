// The page of cbam-view, the live page with a program behind it: it shows what cbam-run sees.

import assert from "node:assert/strict";
import path from "node:path";
import { after, before, test } from "node:test";
import { assertOpenToAll } from "./axe.mjs";
import { SIZES, launch, open, until } from "./browser.mjs";
import { MAPS, NAMES, NEAR, addMap, bring, difference as differenceOf, makePhotos, saysOf, shows } from "./live.mjs";
import { ROOT, workshop } from "./programs.mjs";
import { assertEnds, serving as servingOf } from "./view.mjs";

const WEIGHTS = path.join(ROOT, "assets/weights/efficientnet-lite1-attentive.safetensors");

const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
    browser = await launch();
    makePhotos(shop);
});
after(() => browser?.close());

/** The program at work. */
const serving = (...words) => servingOf(shop, ...words);

/** The page, and that it kept to itself: what the program refuses, a browser tells in its console. */
async function opened({ address }, options = {}) {
    const view = await open(browser, address, options);
    await view.tab.evaluate("page.ready");
    const isRefusal = (fault) => /^console: Failed to load resource: the server responded with a status of 4\d\d/.test(fault);
    const clean = () => assert.deepEqual(view.faults.filter((fault) => !isRefusal(fault)), []);
    return { ...view, clean };
}

const difference = (tab, name, opening = [], maps = MAPS) => differenceOf(shop, tab, name, opening, maps);

test("shows the photos of the command line, and those that are dropped, as cbam-run sees them", async () => {
    const program = await serving("chelsea.png", "broken.png", "coffee.png");
    const { tab, clean, requests } = await opened(program);
    await until(tab, saysOf("/2 of 3 pictures looked at; 1 not read/"));
    assert.deepEqual(await tab.locator(".card .name").allTextContents(), ["chelsea.png", "coffee.png"]);
    assert.match((await tab.locator("#error-list").textContent()) ?? "", /^broken\.png .+/);
    for (const name of ["chelsea", "coffee"]) {
        await tab.locator(`.card a[href="#${name === "chelsea" ? 0 : 2}"]`).click();
        await shows(tab, `${name}.png`);
        const most = await difference(tab, name);
        assert.ok(most <= NEAR, `${name}: ${most}`);
        assert.equal(await tab.locator("#command").textContent(), `cbam-run ${name}.png --map fused`);
        await tab.locator("#back").click();
    }
    await bring(tab, "drop", shop.at("astronaut.png"));
    await shows(tab, "astronaut.png");
    const most = await difference(tab, "astronaut");
    assert.ok(most <= NEAR, `astronaut: ${most}`);
    assert.ok(requests.every((address) => address.startsWith(program.address)), `${requests}`);
    clean();
    await assertEnds(program);

    await bring(tab, "drop", shop.at("coffee.png"));
    await until(tab, saysOf("/^coffee\\.png is not read: cbam-view does not answer: it was ended, perhaps/"));
});

test("opens one photo at once, at the size of the command line and at others", async () => {
    const program = await serving("--size", "160", "--weights", WEIGHTS, "chelsea.png");
    const { tab, clean } = await opened(program);
    const opening = (size) => ["--weights", WEIGHTS, "--size", size];
    const assertSeenAt = async (size) => {
        await until(tab, `page.state()?.picture.data.network_size[1] === ${size}`);
        const most = await difference(tab, "chelsea", opening(size));
        assert.ok(most <= NEAR, `${size}: ${most}`);
        const command = (await tab.locator("#command").textContent()) ?? "";
        const words = command.split(" ");
        assert.deepEqual(words.filter((word) => word === "--size"), ["--size"], command);
        assert.equal(words[words.indexOf("--size") + 1], size, command);
        assert.ok(command.includes(`--weights ${WEIGHTS}`) && command.endsWith(" chelsea.png --map fused"), command);
    };
    await shows(tab, "chelsea.png");
    await assertSeenAt("160");
    await tab.locator("#size").selectOption("224");
    await assertSeenAt("224");
    await tab.locator("#size").selectOption("");
    await assertSeenAt("160");
    clean();
    await assertEnds(program);
});

test("adds maps, and takes other classes", async () => {
    const program = await serving("--size", "64", "chelsea.png");
    const { tab, clean } = await opened(program);
    await shows(tab, "chelsea.png");
    const added = ["layercam", "eigencam:stage5", "scorecam", "patch@120,80"];
    for (const name of added) await addMap(tab, name, 120_000);
    const most = await difference(tab, "chelsea", ["--size", "64"], added);
    assert.ok(most <= NEAR, `${most}`);
    assert.equal(await tab.locator("#command").textContent(), "cbam-run --size 64 chelsea.png --map patch@120,80");
    await tab.locator("#add-map").fill("layercam:stage5");
    await tab.locator("#add-map").press("Enter");
    await until(tab, saysOf("/^layercam:stage5 of chelsea\\.png is not made: .*full build/"));

    // As of a network that keeps a few classes, or none.
    await tab.evaluate("(page.state().picture.classes = null)");
    await tab.locator("#class-input").fill("968");
    await tab.locator("#class-input").press("Enter");
    await until(tab, saysOf("/^chelsea\\.png for cup: looked at in/"));
    assert.equal(await tab.evaluate("page.map().name"), "patch@120,80");
    const other = await difference(tab, "chelsea", ["--size", "64", "--class", "968"], [...MAPS, "layercam"]);
    assert.ok(other <= NEAR, `${other}`);
    clean();
    await assertEnds(program);
});

test("stops a map that takes long, and goes on", async () => {
    const program = await serving("chelsea.png");
    const { tab } = await opened(program);
    await shows(tab, "chelsea.png");
    await tab.locator("#add-map").fill("scorecam");
    await tab.locator("#add-map").press("Enter");
    await until(tab, saysOf("/^Making scorecam of chelsea\\.png/"));
    await tab.locator("#stop-map").click();
    await until(tab, saysOf("/^scorecam of chelsea\\.png is not made: it was stopped/"));
    await bring(tab, "drop", shop.at("coffee.png"));
    await shows(tab, "coffee.png");
    await assertEnds(program);
});

test("opens no weights, and says how they are", async () => {
    const program = await serving();
    const { tab, clean } = await opened(program);
    for (const id of ["weights", "bundled", "weights-file"]) assert.equal(await tab.locator(`#${id}`).count(), 0, id);
    assert.doesNotMatch((await tab.locator("#live").textContent()) ?? "", /weights/i);
    assert.match((await tab.locator("#privacy").textContent()) ?? "", /^Photos go to the program that serves this page, and nowhere else\. The network runs in cbam-view;/);
    await bring(tab, "drop", shop.at("broken.safetensors"));
    const command = "cbam-view --weights broken\\.safetensors";
    await until(tab, saysOf(`/^broken\\.safetensors is not opened: cbam-view opens weights when it starts: ${command}$/`));
    await tab.locator("#help").click();
    assert.doesNotMatch((await tab.locator("#keys").textContent()) ?? "", /weights/);
    clean();
    await assertEnds(program);
});

test("leaves nobody out", async () => {
    const program = await serving();
    for (const viewport of [SIZES.desk, SIZES.phone]) {
        for (const colorScheme of ["light", "dark"]) {
            const { tab, context, clean } = await opened(program, { viewport, colorScheme, reducedMotion: "reduce" });
            const state = (/** @type {string} */ words) => `${words}, ${viewport.width}, ${colorScheme}`;
            await assertOpenToAll(tab, state("empty"));
            await bring(tab, "drop", shop.at("chelsea.png"));
            await shows(tab, "chelsea.png");
            await assertOpenToAll(tab, state("one picture"));
            await bring(tab, "drop", shop.at("coffee.png"), shop.at("broken.png"));
            await until(tab, saysOf("/not read/"));
            await assertOpenToAll(tab, state("gallery"));
            clean();
            await context.close();
        }
    }
    await assertEnds(program);
});
