"""What each command says of itself."""

from __future__ import annotations

PROGRAM = "python -m tiled_diffusion"
UPSCALE_STRENGTH = 0.35
"""Denoising strength of `upscale`, where none is given."""

GENERATE_HELP = f"""\
Draw one or more pictures of any size.

WHAT is one of
  a prompt in quotes     {PROGRAM} generate "a red house on grass, blue sky" --size 1536x192
  a canvas file          {PROGRAM} generate canvas.json
  a layout               a .txt, .py or .md file: Omost's canvas, or a prompt with BREAK, ADDCOL or ADDROW
  a picture made before  {PROGRAM} generate out/00001-7.png
                         makes the same picture again, from the record in the PNG
Flags override what the file says: `generate out/00001-7.png --seed 8` is a sister of the first one.

Prompts side by side, as equal columns from left to right:
  {PROGRAM} generate --size 1152x192 --column "a tree on grass, blue sky" --column "a cactus on sand, sunset"

A canvas file holds the same in JSON; regions are boxes in fractions of the canvas:
  {{"prompt": "grass, blue sky", "width": 1536, "height": 192,
    "tiling": {{"method": "mixture", "regions": [{{"prompt": "a red house on grass", "x": 0.5, "w": 0.25}}]}}}}

A grid file of Mixture of Diffusers runs as it is; on a model of another size with --scale-to-model:
  {PROGRAM} generate linearForest.json --scale-to-model
"""
UPSCALE_HELP = f"""\
Enlarge a picture and draw its details anew, tile by tile.

  {PROGRAM} upscale small.png --scale 4 --denoising-strength 0.35
  {PROGRAM} upscale photo.jpg --scale 2 --prompt "mountains, sunset" --upscaler 4x-model.safetensors

  {PROGRAM} upscale small.png --denoising-strength 0.6 --keep 0.8
                         stays close to the picture (noise inversion)

  {PROGRAM} upscale photo.jpg --scale 8 --prompt "mountains" --out out/large --tiff large.tif
                         beyond 100 megapixels: in blocks, each on disk as soon as it is drawn; whatever stops the
                         work, the same line goes on. Open out/large/index.html to look at it
  {PROGRAM} upscale out/large --status

Where the picture was made by this program, prompt, sampler and the rest come from its record; flags override them.
The new picture's record names IMAGE as its start: with Lanczos, `generate NEW.png` makes it again.
"""
INPAINT_HELP = f"""\
Draw a part of a photo anew, or what lies around it. All the rest comes back as it was, to the last bit.

  {PROGRAM} inpaint photo.png --mask mask.png "a red house on grass"
  {PROGRAM} inpaint photo.png --extend left=256,right=256 "mountains, sunset"

In the mask, of the photo's size, white is drawn and black stays. It begins as noise; with --denoising-strength as
the photo, or, with --inpaint-from fill, as the colours around it.
The new picture's record names both files: `generate NEW.png` makes it again.
"""
INSPECT_HELP = f"""\
Say what a picture would cost, and draw how it is cut into tiles, without making it.

  {PROGRAM} inspect "anything" --size 4096x1024 --method jittered
  {PROGRAM} inspect canvas.json --out plan.png --json

Takes the same WHAT and flags as `generate`.
"""
DEMO_HELP = f"""\
Make seven pictures, a frame and a mosaic with the checkpoint that ships, and one page that shows them.

  {PROGRAM} demo
  {PROGRAM} demo --out somewhere/else

Open out/demo/index.html in a browser afterwards. Takes between one and a few minutes on two processor cores.
"""
EXPORT_HELP = f"""\
Write the shipped checkpoint as one .safetensors file, with its .yaml and tokenizer, for the AUTOMATIC1111 WebUI.

  {PROGRAM} export-checkpoint stable-diffusion-webui/models/Stable-diffusion
"""
STUDIO_HELP = f"""\
Open a page for the browser: prompts, sizes, the panel with its region editor, a preview, and the pictures made so far.

  {PROGRAM} studio --model path/to/model.safetensors

It listens to this machine alone unless --host says otherwise. Ctrl+C ends it.
"""
