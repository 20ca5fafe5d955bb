// What the parts of the editor know of each other and of the page around them.

/** Listens while it is enabled, and to nothing before or afterwards. */
interface EditorPart { enable(): void; disable(): void }
interface Focusable { focus(): void }
type Translate = (text: string) => string;
type Attributes = Record<string, string | number | boolean | null | undefined>;

// ---- the page around an editor -------------------------------------------------------------------------------------

interface PresetList { presets: { name: string }[]; broken: { file: string; error: string }[] }
interface Presets {
    list(): Promise<PresetList>;
    load(name: string): Promise<unknown>;
    save(name: string, document: unknown): Promise<unknown>;
    rename(name: string, to: string): Promise<unknown>;
    remove(name: string): Promise<unknown>;
    /** A region file of any kind as a region document. */
    convert(data: unknown): Promise<unknown>;
}

/** What is read from the page around a panel. One class knows the WebUI, one the studio. */
interface Surroundings {
    /** Size of the picture that is to be made, in pixels. */
    size(): Size;
    /** Of what a job is a part, as the server calls it: "img2img", "hires fix", or nothing for txt2img. */
    way(): string;
    /** The most that the canvas may be high on the page, in the page's pixels. */
    height(): number;
    /** Names of pictures that may lie below the regions, and where they are now. */
    readonly pictures: Record<string, () => string | null>;
    /** The last picture's seed. */
    seed(): number | null;
    translate: Translate;
    /** Gives a prompt's field to other extensions. */
    onField: ((area: HTMLTextAreaElement) => void) | null;
}

/** What an editor asks of its host: what is around it, and the answers of the server. */
interface EditorHost extends Omit<Surroundings, "way"> {
    /** The model's multiple in pixels. */
    unit(): number;
    readonly controlnet: boolean;
    readonly presets: Presets;
    /** Tokens of each text, and how many fit. */
    tokens: ((texts: string[]) => Promise<[number, number][]>) | null;
}

/** A photo as a data URL, and what is known of the frame in it: corners that are null are looked for. */
interface FrameQuestion { picture: string; corners: number[][] | null; context: number; shape: number | null }
/** Its corners in fractions, clockwise from the upper left; how it looks from the front; its width by height. */
interface SeenFrame { corners: number[][]; flat: string; shape: number; told: boolean }

/** What a component of the page holds. */
type ControlValue = string | number | boolean;

/** The server's answer about a plan; boxes are the tiles', in fractions. */
interface PlanFigures {
    text: string;
    problems: string[];
    more?: string[];
    tiles: number;
    boxes: (Box & {words?: string})[];
    unit?: number;
}
/** What a run has drawn: the address of its picture, and how many tiles of its present step. */
interface RunResult { url?: string; tiles?: number }
interface HTMLElementEventMap { "td-plan": CustomEvent<PlanFigures>; "td-result": CustomEvent<RunResult> }

// ---- parts to parts ------------------------------------------------------------------------------------------------

/** The line below the canvas. */
interface Notices {
    say(words: string): void;
    /** Does something, and says why where that fails. */
    told(act: () => unknown): Promise<void>;
}

interface Zoom { zoomBy(factor: number, at?: Point): void; whole(): void }

/** A drag that can be taken back. */
interface Cancellable {
    /** Whether it has begun to do something. */
    readonly dragging: boolean;
    /** Ends it as if it had never begun. Whether there was one. */
    cancel(): boolean;
}

/** The canvas asks this of the tool in hand. Points are in fractions of the canvas. */
interface CanvasTool {
    /** Whether it takes the pointer: boxes are drawn and moved where it does not. */
    readonly active: boolean;
    /** Whether a drag begins. */
    down(event: PointerEvent, at: Point): boolean;
    move(event: PointerEvent, at: Point): void;
    up(): void;
    /** Ends a drag as if it had never begun. */
    cancel(): void;
    doubleClick(): void;
    /** Whether the key meant something to it. */
    key(key: string): boolean;
}

/** The tool in hand asks this of the canvas. */
interface ToolStage extends Focusable { hold(tool: string): void }

/** A shape tool asks this of what it paints for. */
interface Easel {
    /** Whether the region has a free shape already. */
    readonly masked: boolean;
    /** What is on the sketch becomes the region's shape. */
    finish(): void;
    /** This becomes the region's shape. */
    save(mask: Mask): void;
}

/** One way to paint a shape. Points are in fractions of the region's box, and may lie outside of it. */
interface ShapeTool {
    /** Whether its sketch begins with the whole box where there is no shape yet. */
    readonly covers: boolean;
    /** Whether it has a size that the slider and keys change. */
    readonly sized: boolean;
    /** Whether a drag begins. */
    down(event: PointerEvent, at: Point): boolean;
    move(event: PointerEvent, at: Point): void;
    up(): void;
    /** Forgets what is unfinished. */
    reset(): void;
    /** Draws what is unfinished over a sketch that was begun anew. */
    redraw(): void;
    doubleClick(): void;
    key(key: string): boolean;
}

/** One drag on the canvas, from a pointer's going down until it goes up. */
interface Gesture {
    /** Whether it has begun to do something. */
    readonly begun: boolean;
    move(event: PointerEvent): void;
    /** After its traces on the canvas have been cleared. */
    drop(): void;
    cancel(): void;
    /** Whether what it drags is no longer there. */
    lost(state: State): boolean;
}

/** One input of the form, for one field of the region. */
interface FormField extends EditorPart, Focusable {
    readonly node: HTMLElement;
    /** Whether the user is in it. */
    readonly focused: boolean;
    show(region: EditorRegion): void;
}

/** A field asks this of the form. */
interface FormOwner {
    readonly t: Translate;
    /** The region that is edited. */
    readonly region: EditorRegion | null;
    edit(name: keyof Region, value: unknown): void;
    /** To the prompt of the next region of the list, or of the one before. */
    go(by: 1 | -1): void;
}

/** A drag of boxes asks this of the canvas. */
interface GestureCanvas {
    /** Where an event is, in fractions of the canvas. */
    point(event: MouseEvent): Point;
    readonly traces: { snapTo(lines: Lines): void; outline(box: Box): void };
    readonly store: RegionStore;
}
interface FrameCanvas extends GestureCanvas { add(boxes: Box[]): void }
interface ChangeCanvas extends GestureCanvas {
    readonly boxes: {
        /** Shows a region's box elsewhere, until the next state is drawn. */
        put(id: number, box: Box): void;
        render(): void;
    };
}
