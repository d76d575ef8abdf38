// The page of a film: it plays with the maps over it, and each frame has its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { assertForAll } from "./axe.mjs";
import { launch, open, pixelsOf, until } from "./browser.mjs";
import { numbersOf, PHOTOS, workshop } from "./programs.mjs";

/** Frames of a cat, then of a cup, 12.5 a second, with a sound. */
const [CAT, CUP] = [30, 20];
const shop = workshop();
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
    browser = await launch("--autoplay-policy=no-user-gesture-required");
    const shot = (/** @type {string} */ name) => ["-loop", "1", "-r", "12.5", "-i", path.join(PHOTOS, name)];
    const filter =
        "[0:v]scale=400:-2,crop=320:240:'n*2':20,setsar=1,trim=end_frame=30[a];" +
        "[1:v]scale=400:-2,crop=320:240:'40-n':20,setsar=1,trim=end_frame=20[b];[a][b]concat=n=2:v=1:a=0[v]";
    const sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=4"];
    const codecs = ["-map", "[v]", "-map", "2:a", "-c:v", "ffv1", "-c:a", "aac", shop.at("clip.mkv")];
    execFileSync("ffmpeg", ["-v", "error", ...shot("chelsea.jpg"), ...shot("coffee.jpg"), ...sound, "-filter_complex", filter, ...codecs]);
    shop.run("cbam-run", "clip.mkv", "--map", "fused", "--html", "clip.html", "--json", "clip.json", "--quiet");
    numbered("numbers.mp4", "select='not(mod(n,3))+not(mod(n,7))+gt(n,40)'", ["-fps_mode", "vfr"]);
    numbered("one.mp4", "null", ["-frames:v", "1"]);
    shop.run("cbam-run", "clip.mkv", "--map", "fused", "--smooth", "0", "--html", "bare.html", "--maps-dir", "maps", "--quiet");
});
after(() => browser.close());

/** The page of a film of 30 frames a second, some of which are left out, whose frames show their numbers as eight bars; with a sound. */
function numbered(name, select, words) {
    const bars = `${select},geq=lum='255*mod(floor(N/pow(2,floor(X/20))),2)':cb=128:cr=128`;
    const pictures = ["-f", "lavfi", "-i", `color=s=160x120:r=30:d=2,${bars}`, "-f", "lavfi", "-i", "sine=d=2"];
    execFileSync("ffmpeg", ["-v", "error", ...pictures, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", ...words, shop.at(name)]);
    shop.run("cbam-run", name, "--map", "spatial", "--html", name.replace("mp4", "html"), "--quiet");
}

/** A function of the page: the number that the picture shows. */
const SHOWN = `window.number = () => {
    const pen = penOf(document.querySelector("#frame-picture"));
    const isWhite = (bar) => pen.getImageData(20 * bar + 10, 60, 1, 1).data[0] > 128;
    return [0, 1, 2, 3, 4, 5, 6, 7].reduce((sum, bar) => sum + (isWhite(bar) ? 2 ** bar : 0), 0);
};`;

async function opened(name = "clip.html", options = {}) {
    const view = await open(browser, shop.at(name), options);
    await view.tab.evaluate("page.ready");
    return view;
}

/** Shows a frame and waits until it is there. */
async function shows(tab, index) {
    await tab.evaluate(`page.player.show(${index})`);
    await until(tab, `!page.player.isWaiting() && page.state().frame === ${index}`);
    await tab.evaluate("page.settled()");
}

test("each frame has its maps, near those of the network", async () => {
    const { tab, clean } = await opened("bare.html");
    const { shape, values } = numbersOf(shop.at("maps/clip.npy"));
    assert.equal(shape[0], CAT + CUP);
    const cells = shape[1] * shape[2];
    const most = values.reduce((most, value) => Math.max(most, value), 0);
    for (const index of [0, 17, CAT, CAT + CUP - 1]) {
        await shows(tab, index);
        const shown = await tab.evaluate("Array.from(page.map().values)");
        shown.forEach((value, cell) => assert.ok(Math.abs(value - values[index * cells + cell]) < most / 500, `${index}, ${cell}`));
    }
    clean();
});

test("it goes to any frame, whose picture is that of the film", async () => {
    const { tab, clean } = await opened();
    await tab.locator("#alpha").fill("0");
    for (const index of [CAT - 1, CAT, 3, CAT + CUP - 1]) {
        await shows(tab, index);
        const [download] = await Promise.all([tab.waitForEvent("download"), tab.locator("#save-png").click()]);
        assert.equal(download.suggestedFilename(), `clip.fused-frame-${index + 1}.png`);
        const frame = ["-vf", `select=eq(n\\,${index}),format=rgba`, "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"];
        const wanted = await pixelsOf(tab, execFileSync("ffmpeg", ["-v", "error", "-i", shop.at("clip.mkv"), ...frame]));
        const got = await pixelsOf(tab, readFileSync(await download.path()));
        assert.deepEqual(got.size, wanted.size);
        const sum = got.data.reduce((sum, value, at) => sum + Math.abs(value - wanted.data[at]), 0);
        assert.ok(sum / got.data.length < 4, `frame ${index} is ${sum / got.data.length} away`);
    }
    clean();
});

test("the picture is always that of the frame whose maps lie over it", async () => {
    const { tab, clean } = await opened("numbers.html");
    await tab.evaluate(SHOWN);
    const count = await tab.evaluate("Number(document.querySelector('#seek').max) + 1");
    assert.ok(count > 30 && count < 60, `${count}`);
    // The first frames as the first thing, then all in no order.
    for (const index of [0, 1, ...Array.from({ length: count }, (_, at) => (at * 17 + 5) % count), count - 1, count - 1]) {
        await shows(tab, index);
        assert.equal(await tab.evaluate("number()"), index);
    }
    await tab.evaluate(`{ window.apart = []; window.count = 0; const look = () => {
        window.count++;
        if (number() !== page.state().frame) window.apart.push([number(), page.state().frame]);
        requestAnimationFrame(look);
    }; look(); }`);
    for (let at = 0; at < 40; at++) await tab.evaluate(`page.player.show(${(at * 7) % count})`);
    await until(tab, `!page.player.isWaiting() && page.state().frame === ${(39 * 7) % count}`);
    await shows(tab, count - 2);
    await tab.evaluate("page.player.toggle()");
    await until(tab, `page.state().frame === ${count - 1} && document.querySelector("#play").textContent === "Play"`);
    await tab.evaluate("page.player.toggle()");
    await until(tab, `page.state().frame > 20`);
    await tab.evaluate("page.player.step(-1)");
    await until(tab, "!page.player.isWaiting()");
    assert.ok((await tab.evaluate("window.count")) > 20);
    assert.deepEqual(await tab.evaluate("window.apart"), []);
    clean();
});

test("an older browser, which tells no frames apart, plays it too", async () => {
    const { tab, clean } = await opened("numbers.html");
    await tab.addInitScript(() => {
        delete window.VideoFrame;
        delete HTMLVideoElement.prototype.requestVideoFrameCallback;
    });
    await tab.reload();
    await tab.evaluate("page.ready");
    await tab.evaluate(SHOWN);
    for (const index of [5, 0, 21]) {
        await shows(tab, index);
        assert.equal(await tab.evaluate("number()"), index);
    }
    await tab.evaluate("page.player.toggle()");
    await until(tab, `page.state().frame > 30 && document.querySelector("#play").textContent === "Play"`);
    clean();
});

test("a film of one frame stands", async () => {
    const { tab, clean } = await opened("one.html");
    await shows(tab, 0);
    await tab.keyboard.press("n");
    await tab.keyboard.press("p");
    await until(tab, `!page.player.isWaiting() && document.querySelector("#play").textContent === "Play"`);
    assert.match((await tab.locator("#time").textContent()) ?? "", /frame 1 of 1/);
    clean();
});

test("it plays to its end, frame after frame, and begins again", async () => {
    const { tab, clean } = await opened();
    assert.equal(await tab.locator("#play").textContent(), "Play");
    await tab.evaluate(`{ window.seen = []; page.viewer.store.when(["frame"], () => window.seen.push(page.state().frame)); }`);
    await tab.locator("#speed").selectOption("2");
    await tab.keyboard.press("p");
    await until(tab, `page.state().frame === ${CAT + CUP - 1} && document.querySelector("#play").textContent === "Play"`);
    const seen = await tab.evaluate("window.seen");
    assert.ok(seen.every((frame, at) => at === 0 || frame > seen[at - 1]), `${seen}`);
    assert.ok(seen.length > (CAT + CUP) / 3, `${seen}`);
    await tab.keyboard.press("p");
    await until(tab, `page.state().frame > 0 && page.state().frame < ${CAT}`);
    await tab.keyboard.press("p");
    assert.equal(await tab.locator("#play").textContent(), "Play");
    await tab.keyboard.press("n");
    await until(tab, "!page.player.isWaiting()");
    clean();
});

test("a place is followed through the film, and any head can be chosen", async () => {
    const { tab, clean } = await opened();
    const heads = await tab.locator(".tile").evaluateAll((tiles) => tiles.map((tile) => tile.getAttribute("data-map")));
    assert.ok(heads.includes("patch:0") && heads.includes("gradcam") && heads[0] === "fused", `${heads}`);
    await tab.locator('.tile[data-map="patch:0"]').click();
    await shows(tab, 10);
    await tab.locator("#photo").click({ position: { x: 100, y: 90 } });
    await tab.evaluate("page.settled()");
    const words = (await tab.locator("#course-words").textContent()) ?? "";
    assert.match(words, /patch:0 at the pin [\d.]+ × uniform/);
    const value = Number(/pin ([\d.]+)/.exec(words)?.[1]);
    const listed = (await tab.locator("#values").getAttribute("data-words")) ?? "";
    assert.equal(Number(/Value ([\d.]+)/.exec(listed)?.[1]), value, "what is said below the film is what is said of the cell");
    await shows(tab, CAT + 5);
    assert.notEqual(Number(/pin ([\d.]+)/.exec((await tab.locator("#course-words").textContent()) ?? "")?.[1]), value);
    clean();
});

test("it says what was seen when, and the command that draws it", async () => {
    const { tab, clean } = await opened();
    const [{ frames, explained }] = JSON.parse(readFileSync(shop.at("clip.json"), "utf8"));
    for (const index of [0, CAT + 4]) {
        await shows(tab, index);
        const first = tab.locator("#top-classes .class").first();
        assert.equal(await first.getAttribute("data-class"), `${frames[index].top[0].class}`);
        const time = (await tab.locator("#time").textContent()) ?? "";
        assert.ok(time.includes(`frame ${index + 1} of ${CAT + CUP}`), time);
    }
    assert.ok(((await tab.locator("#facts").textContent()) ?? "").includes(`for ${explained.label}`));
    assert.equal(await tab.locator("#command").textContent(), "cbam-run clip.mkv --map fused --overlay clip-overlay.mp4");
    assert.match((await tab.locator("#facts").textContent()) ?? "", /smoothed over time/);
    await tab.locator('input[name="compare"][value="side"]').check({ force: true });
    await tab.locator("#other-select").selectOption("object");
    await tab.evaluate("page.settled()");
    const command = (await tab.locator("#command").textContent()) ?? "";
    assert.equal(command, "cbam-run clip.mkv --compare fused,object --overlay clip-overlay.mp4");
    shop.shell(`${command} --quiet`);
    clean();
});

test("nobody is left out of a film", () => assertForAll((options) => opened("clip.html", options)));
