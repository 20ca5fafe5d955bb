// The region document, the editor's state of it, and what may happen to it. Boxes are in fractions of the canvas.

interface Point { x: number; y: number }
interface Size { width: number; height: number }
interface Box extends Point { w: number; h: number }
type Handle = "move" | "n" | "s" | "e" | "w" | "ne" | "nw" | "se" | "sw";

/** Places on each axis that edges snap to. */
interface Lines { x: number[]; y: number[] }

/** Points [x, y]. */
type Polygon = number[][];
type Mask = { polygons: Polygon[] } | { picture: string };
type FeatherShape = "smooth" | "linear" | "quadratic";
type Fill = "main" | "none";

interface Region extends Box {
    prompt: string; name: string; mask: Mask | null; enabled: boolean; negative_prompt: string | null;
    join: "replace" | "append" | "prepend"; layer: "background" | "foreground";
    feather: number; feather_shape: FeatherShape; weight: number; seed: number | null; cfg_scale: number | null;
    step_from: number; step_to: number; controlnet: boolean; bootstrap: number;
    picture: string | null; keep: number; fit: string; flip: boolean; picture_sha256: string | null;
}
interface Reroll extends Partial<Box> { seed: number; mode?: "full" | "exclusive"; noise?: number }
interface RegionDocument { regions: Region[]; fill: Fill; rerolls: Reroll[] }

/** A region's field: its default; what it may be; and what its number field on the page offers, where that is less. */
interface RegionField {
    default: unknown; range: readonly [number, number]; length: number; choices: readonly string[];
    offered?: readonly [number, number]; step?: number;
}

/** A region on the page: `locked` and `hidden` are for the editor alone. */
interface EditorRegion extends Region { id: number; locked: boolean; hidden: boolean }
interface State { regions: EditorRegion[]; selected: number[]; fill: Fill; rerolls: Reroll[] }

/** What may happen to a state. Actions with the same `merge`, one after the other, are one step of undo. */
type Action = { merge?: string } & (
    | { type: "add"; regions: Partial<Region>[] }
    | { type: "select"; ids: number[] }
    | { type: "place"; boxes: Record<number, Box> }
    | { type: "edit"; ids: number[]; fields: Partial<EditorRegion> }
    | { type: "nudge"; dx: number; dy: number } | { type: "grow"; dx: number; dy: number }
    | { type: "remove" } | { type: "duplicate" } | { type: "front" } | { type: "back" }
    | { type: "split"; id: number; boxes: Box[] }
    | { type: "reorder"; id: number; to: number }
    | { type: "fill"; value: Fill }
    | { type: "load"; document: RegionDocument }
);
type Reducers = { [K in Action["type"]]: (state: State, action: Extract<Action, { type: K }>) => State };

/** The editor's state over time. */
interface RegionStore {
    readonly state: State;
    readonly canUndo: boolean;
    readonly canRedo: boolean;
    /** The one selected region; null where none or several are. */
    readonly single: EditorRegion | null;
    dispatch(action: Action): void;
    /** Selects a region; with `more`, takes it to those that are selected, or from them. */
    pick(id: number, more: boolean): void;
    undo(): void;
    redo(): void;
    /** Calls the listener after every change, until the function that it returns is called. */
    subscribe(listener: (state: State) => void): () => void;
}

/** What a drag may snap to, and how near; the model's multiple; width / height of a square of pixels. In fractions. */
interface Scene { lines: Lines; reach: Point; unit: Point; square: number }
interface Keys { shift: boolean; alt: boolean; ctrl: boolean }
type DraggedBox = Box & { id: number };
interface Drag { kind: "draw" | "select" | "change"; start: Point; handle: Handle; from: DraggedBox[]; scene: Scene }
interface DragResult { box: Box; boxes: Record<number, Box>; guides: Lines }
