// The page of a film: it plays with the maps over it.

/** @param {Head} head */
async function openFilm(head) {
    const film = await readFilm();
    // What spans the colours of a film's frames is that of all of them, unless it is said.
    const usual = { ...head.usual, scale: "run" };
    const noPicture = () => Promise.reject(new Error("the page holds a film alone"));
    const app = await makeApp({ ...head, usual }, noPicture);
    byId("viewer", HTMLElement).hidden = false;
    const viewer = openViewer(app, film.picture, null);
    page.viewer = viewer;
    const player = makePlayer(viewer, film);
    setUpControls(viewer, film, player);
    setUpKeys([...pageKeys(), filmKeys(player), ...viewerKeys(viewer)]);
    page.player = player;
}

/**
 * @param {Player} player
 * @returns {KeyGroup}
 */
function filmKeys({ toggle, step }) {
    return {
        title: "Film",
        keys: [
            { key: "p", words: "Play, or stop", act: toggle },
            { key: "n", words: "Next frame", act: () => step(1) },
            { key: "b", words: "The frame before", act: () => step(-1) },
        ],
        isActive: () => true,
    };
}

/**
 * The controls below the film.
 * @param {Viewer} viewer
 * @param {Film} film
 * @param {Player} player
 */
function setUpControls(viewer, film, player) {
    const { video, data } = film;
    const play = button("", player.toggle, { id: "play", title: "Play, or stop (P)" });
    const back = button("‹", () => player.step(-1), { id: "frame-back", title: "The frame before (B)", "aria-label": "The frame before" });
    const on = button("›", () => player.step(1), { id: "frame-on", title: "Next frame (N)", "aria-label": "Next frame" });
    const time = make("output", { id: "time" });
    const speed = make("select", { id: "speed", "aria-label": "Speed" });
    fillSelect(
        speed,
        SPEEDS.map((value) => [`${value}`, `${value} ×`]),
    );
    speed.value = "1";
    speed.addEventListener("change", () => (video.playbackRate = Number(speed.value)));
    const sound = button("", () => (video.muted = !video.muted), { id: "sound", title: "Sound, or none" });
    const seek = makeSeek(viewer, film, player);
    const buttons = make("div", { class: "row" }, back, play, on, time, make("span", { class: "gap" }), sound, speed);
    byId("panes", HTMLElement).after(make("div", { id: "player" }, seek, buttons));

    const showState = () => {
        play.textContent = video.paused ? "Play" : "Stop";
        sound.textContent = video.muted ? "Sound off" : "Sound on";
    };
    sound.hidden = !data.video.sound;
    for (const event of ["play", "pause", "ended", "volumechange"]) video.addEventListener(event, showState);
    showState();
    viewer.store.when(["frame"], () => {
        const { frame } = viewer.store.state;
        time.value = `${clock(data.times[frame])} · frame ${grouped(frame + 1)} of ${grouped(data.times.length)}`;
    });
}

/**
 * The slider that goes through the film, over its course.
 * @param {Viewer} viewer
 * @param {Film} film
 * @param {Player} player
 */
function makeSeek(viewer, film, player) {
    const { store } = viewer;
    const { times } = film.data;
    const canvas = make("canvas", { id: "course", "aria-hidden": "true" });
    const now = make("span", { class: "now", "aria-hidden": "true" });
    const slider = make("input", { id: "seek", type: "range", min: 0, max: times.length - 1, step: 1, "aria-label": "Frame" });
    const legend = make("p", { id: "course-words", class: "hint" });
    slider.addEventListener("input", () => player.show(slider.valueAsNumber));
    const strip = make("div", { class: "course" }, canvas, now);
    strip.addEventListener("pointerdown", (event) => {
        strip.setPointerCapture(event.pointerId);
        goTo(event);
    });
    strip.addEventListener("pointermove", (event) => strip.hasPointerCapture(event.pointerId) && goTo(event));
    const goTo = (/** @type {PointerEvent} */ { clientX }) => {
        const { left, width } = strip.getBoundingClientRect();
        const part = Math.min(1, Math.max(0, (clientX - left) / width));
        player.show(frameAt(times, times[0] + part * (times[times.length - 1] - times[0])));
    };
    store.when(["frame"], () => {
        const { frame } = store.state;
        now.style.left = `${100 * placeInTime(times, frame)}%`;
        if (!player.isWaiting()) slider.value = String(frame);
        slider.setAttribute("aria-valuetext", `${clock(times[frame])}, frame ${frame + 1} of ${times.length}`);
    });
    const draw = () => drawCourse(canvas, film.data, courseOf(viewer, film).lines);
    store.when(["chosen", "map", "cursor", "pin", "pointing", "look"], draw);
    document.addEventListener("themechange", draw);
    new ResizeObserver(draw).observe(canvas);
    store.when(["frame", "chosen", "map", "cursor", "pin", "pointing"], () => {
        const { words } = courseOf(viewer, film);
        legend.replaceChildren(
            ...words.map(([said, colour]) => {
                const key = make("span", { class: "key", "aria-hidden": "true" });
                key.style.background = `var(${colour})`;
                return make("span", {}, key, said);
            }),
        );
    });
    return make("div", {}, strip, slider, legend);
}

/**
 * A time as players write it: minutes, seconds and thousandths.
 * @param {number} time   in milliseconds
 */
function clock(time) {
    const seconds = Math.floor(time / 1000);
    const [minutes, rest] = [Math.floor(seconds / 60), `${seconds % 60}`.padStart(2, "0")];
    return `${minutes}:${rest}.${`${Math.floor(time % 1000)}`.padStart(3, "0")}`;
}
