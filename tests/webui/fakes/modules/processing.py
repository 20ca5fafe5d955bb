"""Pictures of a job: decoding, and the text that is written into each."""

import json


class DecodedSamples(list):
    already_decoded = True


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    return DecodedSamples(model.first_stage_model.decode(batch[i : i + 1])[0] for i in range(batch.shape[0]))


def create_infotext(
    p, all_prompts, all_seeds, all_subseeds, comments=None, iteration=0, position_in_batch=0, use_main_prompt=False, index=None, all_negative_prompts=None,
):  # fmt: skip
    """A list is looked up by the index that the caller gives; a function is asked, with all names known here."""
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    fields = {"Seed": p.all_seeds[0] if use_main_prompt else all_seeds[index], **p.extra_generation_params}
    for key, value in fields.items():
        if isinstance(value, list):
            fields[key] = value[index]
        elif callable(value):
            fields[key] = value(**locals())
    text = ", ".join(f"{key}: {json.dumps(value)}" for key, value in fields.items() if value is not None)
    return f"{p.prompt if use_main_prompt else all_prompts[index]}\n{text}"


def fix_seed(p):
    p.seed = 77 if p.seed == -1 else p.seed


class Processed:
    def __init__(self, p, images_list, seed=-1, info="", subseed=None, all_prompts=None, all_negative_prompts=None, all_seeds=None, all_subseeds=None, index_of_first_image=0, infotexts=None, comments=""):
        self.images, self.seed, self.info, self.index_of_first_image = images_list, seed, info, index_of_first_image
        self.infotexts = infotexts or []


def process_images(p):
    """A job of the stand-in draws itself."""
    return Processed(p, p.pictures())
