// A photo from the camera, which is on only as long as its window is open.

/** @param {(photo: NamedFile) => void} take */
function setUpCamera(take) {
    const dialog = byId("camera-dialog", HTMLDialogElement);
    const video = byId("camera-video", HTMLVideoElement);
    const shutter = byId("camera-take", HTMLButtonElement);
    const words = byId("camera-words", HTMLElement);
    let count = 0;
    const say = (/** @type {string} */ said) => {
        words.textContent = said;
        words.hidden = said === "";
    };
    const stop = () => {
        if (video.srcObject instanceof MediaStream) video.srcObject.getTracks().forEach((track) => track.stop());
        video.srcObject = null;
        shutter.disabled = true;
    };
    const open = async () => {
        say("Waiting for the camera …");
        dialog.showModal();
        try {
            const stream = await openCamera();
            video.srcObject = stream;
            if (dialog.open) {
                await video.play();
                shutter.disabled = false;
                say("");
            } else {
                stop(); // it was closed meanwhile
            }
        } catch (error) {
            say(`There is no picture from a camera: ${wordsOfRefusal(error)}.`);
        }
    };
    byId("camera", HTMLButtonElement).addEventListener("click", open);
    byId("camera-close", HTMLButtonElement).addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", stop);
    shutter.addEventListener("click", async () => {
        const file = await frameOf(video);
        dialog.close();
        if (file) take({ name: `camera-${++count}.png`, file });
    });
}

/** @returns {Promise<MediaStream>} */
async function openCamera() {
    if (!navigator.mediaDevices) throw new Error("a page has it only over https, from this machine or as a file");
    return navigator.mediaDevices.getUserMedia({
        video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
    });
}

/** @param {unknown} error */
function wordsOfRefusal(error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError") return "this browser does not allow this page to use it";
    if (name === "NotFoundError") return "this machine has none";
    if (name === "NotReadableError") return "another program uses it, perhaps";
    return wordsOfError(error);
}

/**
 * What a video shows, as a PNG.
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob | null>}
 */
function frameOf(video) {
    const canvas = make("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    penOf(canvas).drawImage(video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
