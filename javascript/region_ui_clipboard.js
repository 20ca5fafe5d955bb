"use strict";
// What is copied from the canvas, and what is pasted or dropped on it: regions as JSON, pictures.

tiledDiffusion.Clipboard = class Clipboard extends tiledDiffusion.Part {
    #store;
    #notices;
    #takePicture;

    /**
     * @param {HTMLElement} stage @param {RegionStore} store @param {Notices} notices
     * @param {(file: File | undefined) => void} takePicture puts a picture into the selected region that has one, or
     *   lays it below the regions; nothing where it is none
     */
    constructor(stage, store, notices, takePicture) {
        super();
        this.#store = store;
        this.#notices = notices;
        this.#takePicture = takePicture;
        this.on(stage, "copy", event => this.#copy(event));
        this.on(stage, "paste", event => this.#paste(event));
        this.on(stage, "dragover", event => event.preventDefault());
        this.on(stage, "drop", event => this.#drop(event));
    }

    /** @param {ClipboardEvent} event */
    #copy(event) {
        const {regions, selected} = this.#store.state, chosen = regions.filter(r => selected.includes(r.id));
        if (!chosen.length) return;
        const text = tiledDiffusion.data.write({regions: chosen, fill: "main", rerolls: []});
        event.clipboardData?.setData("text/plain", text);
        event.preventDefault();
    }

    /** @param {ClipboardEvent} event */
    #paste(event) {
        event.preventDefault();
        const picture = [...event.clipboardData?.files || []].find(file => file.type.startsWith("image/"));
        if (picture) return this.#takePicture(picture);
        const text = event.clipboardData?.getData("text/plain") || "";
        this.#notices.told(() => {
            this.#store.dispatch({type: "add", regions: tiledDiffusion.data.parse(text).regions});
        });
    }

    /** @param {DragEvent} event */
    #drop(event) {
        event.preventDefault();
        event.stopPropagation();
        this.#takePicture(event.dataTransfer?.files[0]);
    }
};
