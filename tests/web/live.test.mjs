// The live page, in both its forms: what is dropped, pasted or chosen is looked at as cbam-run looks at it, and nothing leaves.
//
// `make web` makes the files; CBAM_LIVE names another folder of them.

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { assertOpenToAll } from "./axe.mjs";
import { SIZES, launch, open, serve, until } from "./browser.mjs";
import { MAPS, NAMES, NEAR, addMap, bring, difference as differenceOf, makePhotos, saysOf, shows } from "./live.mjs";
import { LIVE, ROOT, workshop } from "./programs.mjs";
import { writeResnet18 } from "./pth.mjs";

const FILES = ["index.html", "engine.wasm", "cbam-live.html"];
const WEIGHTS = path.join(ROOT, "assets/weights/efficientnet-lite1-attentive.safetensors");

const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let host;

before(async () => {
    for (const name of FILES) assert.ok(existsSync(path.join(LIVE, name)), `there is no ${path.join(LIVE, name)}: make web`);
    browser = await launch("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
    host = await serve(LIVE);
    makePhotos(shop);
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

async function opened(form, options = {}) {
    const view = await open(browser, form.page(), options);
    await view.tab.evaluate("page.ready");
    return { ...view, started: performance.now() - view.begun };
}

/** How far what the page shows is from what cbam-run says. */
const difference = (tab, name, opening = [], maps = MAPS) => differenceOf(shop, tab, name, opening, maps);

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

test("what torch.save wrote is opened, too", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    writeResnet18(shop.at("resnet18.pth"));
    await tab.locator("#weights-file").setInputFiles(shop.at("resnet18.pth"));
    await until(tab, saysOf("/^resnet18\\.pth is open\\. assumed: a max pooling/"));
    await bring(tab, "drop", shop.at("chelsea.png"));
    await shows(tab, "chelsea.png");
    const maps = await tab.evaluate("page.viewer.maps().map(({ name }) => name)");
    const most = await difference(tab, "chelsea", ["--weights", "resnet18.pth"], maps);
    assert.ok(most <= NEAR, `${most}`);
    assert.equal(await tab.locator("#command").textContent(), `cbam-run --weights resnet18.pth chelsea.png --map ${maps[0]}`);
    clean();
});

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
    await until(tab, saysOf("/^Not at 4000: .+/"));
    assert.equal(await tab.locator("#size").inputValue(), "");
    assert.equal(await tab.locator("#command").textContent(), "cbam-run chelsea.png --map fused");
    clean();
});

test("a map that is added is cbam-run's, and stays at another size", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await bring(tab, "drop", shop.at("chelsea.png"));
    await shows(tab, "chelsea.png");
    await tab.locator("#photo").click({ position: { x: 300, y: 200 } });
    await tab.evaluate("page.settled()");
    const pin = await tab.evaluate("page.state().pin");
    assert.ok(pin);
    await addMap(tab, "hirescam");
    await until(tab, saysOf("/^hirescam of chelsea\\.png: made in/"));
    await addMap(tab, "patch@120,80");
    assert.deepEqual(await tab.evaluate("page.state().pin"), pin, "what is pinned stays");
    assert.equal(await tab.locator("#command").textContent(), "cbam-run chelsea.png --map patch@120,80");
    const added = ["hirescam", "patch@120,80"];
    const most = await difference(tab, "chelsea", [], [...MAPS, ...added]);
    assert.ok(most <= NEAR, `${most}`);

    // What is there already is chosen, and not made.
    await addMap(tab, "gradcam");
    await tab.locator("#size").selectOption("160");
    await until(tab, "page.state().picture.data.network_size[1] === 160");
    const again = await difference(tab, "chelsea", ["--size", "160"], [...MAPS, ...added]);
    assert.ok(again <= NEAR, `${again}`);

    // A class that is chosen is that of maps that were added, too.
    const id = await tab.locator(".class").nth(1).getAttribute("data-class");
    await tab.locator(".class").nth(1).click();
    await until(tab, `page.viewer.map("hirescam").explains === ${id}`);
    const other = await difference(tab, "chelsea", ["--size", "160", "--class", `${id}`], [...MAPS, "hirescam"]);
    assert.ok(other <= 1e-3, `${other}`);

    for (const [name, message] of Object.entries({
        "nonsense": "/^nonsense of chelsea\\.png is not made: not a map/",
        "patch@9999,1": "/^patch@9999,1 of chelsea\\.png is not made: .*outside the picture/",
        "layercam:stage5": "/^layercam:stage5 of chelsea\\.png is not made: .*full build/",
        "channel:stage5": "/channel gates/",
        "Channel:stage7": "/^Channel:stage7 .*channel gates/",
    })) {
        await tab.locator("#add-map").fill(name);
        await tab.locator("#add-map").press("Enter");
        await until(tab, saysOf(message));
    }
    assert.equal(await tab.evaluate("page.viewer.maps().filter(({ name }) => /stage5|nonsense|9999/.test(name)).length"), 1);
    clean();
});

test("a map that takes long is made aside, and can be stopped", async () => {
    const { tab, clean } = await opened(FORMS["cbam-live.html from a file"]);
    await bring(tab, "drop", shop.at("chelsea.png"));
    await shows(tab, "chelsea.png");
    await tab.locator("#add-map").fill("scorecam");
    await tab.locator("#add-map").press("Enter");
    await until(tab, saysOf("/^Making scorecam of chelsea\\.png … This may take minutes/"));
    await tab.locator("#add-map").fill("scorecam");
    await tab.locator("#add-map").press("Enter");
    await until(tab, saysOf("/^scorecam is being made already/"));
    // Another photo does not wait for it.
    await bring(tab, "drop", shop.at("coffee.png"));
    await shows(tab, "coffee.png");
    assert.equal(await tab.locator("#stop-map").textContent(), "Stop scorecam");
    await tab.locator("#stop-map").click();
    await until(tab, saysOf("/^scorecam of chelsea\\.png is not made: it was stopped/"));
    assert.ok(!(await tab.locator("#stop-map").isVisible()));

    await tab.locator("#size").evaluate((select) => select.add(new Option("64", "64")));
    await tab.locator("#size").selectOption("64");
    await until(tab, "page.state().picture.data.network_size[1] === 64");
    await addMap(tab, "scorecam:stage5", 120_000);
    // So small it would be taken for something else, but the class stays.
    const most = await difference(tab, "coffee", ["--size", "64", "--class", "967"], ["scorecam:stage5"]);
    assert.ok(most <= NEAR, `${most}`);
    const command = "cbam-run --size 64 coffee.png --map scorecam:stage5 --class 967";
    assert.equal(await tab.locator("#command").textContent(), command);
    clean();
});

test("a class that the page does not keep is asked of the network", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await bring(tab, "drop", shop.at("coffee.png"));
    await shows(tab, "coffee.png");
    await tab.locator("#photo").click({ position: { x: 300, y: 200 } });
    await tab.evaluate("page.settled()");
    const pin = await tab.evaluate("page.state().pin");
    await addMap(tab, "hirescam");
    // As of a network that keeps a few classes, or none.
    await tab.evaluate("(page.state().picture.classes = null)");
    await tab.locator("#class-input").fill("968");
    await tab.locator("#class-input").press("Enter");
    await until(tab, saysOf("/^coffee\\.png for cup: looked at in/"));
    assert.equal(await tab.evaluate("page.state().chosen"), 968);
    assert.equal(await tab.evaluate("page.map().name"), "hirescam");
    assert.deepEqual(await tab.evaluate("page.state().pin"), pin);
    const most = await difference(tab, "coffee", ["--class", "968"], [...MAPS, "hirescam"]);
    assert.ok(most <= NEAR, `${most}`);
    assert.equal(await tab.locator("#command").textContent(), "cbam-run coffee.png --map hirescam --class 968");
    clean();
});

test("a photo is taken off the list, and the others keep their places", async () => {
    const { tab, clean } = await opened(FORMS["index.html on a host"]);
    await tab.locator("#photo-files").setInputFiles([...NAMES.map((name) => shop.at(`${name}.png`)), shop.at("broken.png")]);
    await until(tab, saysOf("/3 of 4 pictures looked at/"));
    const names = () => tab.locator(".card .name").allTextContents();
    await tab.locator(".card a").nth(1).focus();
    await tab.keyboard.press("Delete");
    await tab.evaluate("page.settled()");
    assert.deepEqual(await names(), ["chelsea.png", "astronaut.png"]);
    assert.equal(await tab.locator("#count").textContent(), "2 pictures");
    assert.equal(await tab.locator("h1").textContent(), "2 pictures");
    assert.equal(await tab.evaluate("document.activeElement.getAttribute('href')"), "#2", "the next has the focus");
    await tab.keyboard.press("Enter");
    await shows(tab, "astronaut.png");
    assert.equal(await tab.locator("#position").textContent(), "2 of 2");
    await tab.locator("#back").click();
    await tab.locator("#error-list .remove").click();
    await tab.evaluate("page.settled()");
    assert.ok(!(await tab.locator("#errors").isVisible()));

    // The address of one that is gone leads to the others; all others are looked at again at another size.
    await tab.evaluate("(location.hash = '#1')");
    await until(tab, `!document.querySelector("#gallery").hidden`);
    await tab.locator("#size").selectOption("160");
    await until(tab, `/Seen as/.test(document.querySelector("#live-status").textContent) && !document.querySelector(".stale")`);
    assert.deepEqual(await names(), ["chelsea.png", "astronaut.png"]);
    for (let left = 2; left > 0; left--) {
        await tab.locator(".card").first().hover();
        await tab.locator(".card .remove").first().click();
        await until(tab, `document.querySelectorAll(".card").length === ${left - 1}`);
    }
    assert.ok(await tab.locator("#live.empty").isVisible());
    assert.equal(await tab.evaluate("document.activeElement.id"), "choose");
    await bring(tab, "drop", shop.at("coffee.png"));
    await shows(tab, "coffee.png");
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
            const { tab, clean } = await opened(FORMS["index.html on a host"], { viewport, colorScheme, reducedMotion: "reduce" });
            await assertOpenToAll(tab, "empty");
            await bring(tab, "drop", shop.at("chelsea.png"));
            await shows(tab, "chelsea.png");
            await tab.locator("#add-map").fill("cam");
            await tab.locator("#add-map-list [role=option]").first().waitFor();
            await assertOpenToAll(tab, "one picture");
            await bring(tab, "drop", shop.at("coffee.png"), shop.at("broken.png"));
            await until(tab, saysOf("/not read/"));
            await assertOpenToAll(tab, "gallery");
            await tab.locator("#camera").click();
            await tab.locator("#camera-take:not([disabled])").waitFor();
            await assertOpenToAll(tab, "camera");
            clean();
        }
    });
}
