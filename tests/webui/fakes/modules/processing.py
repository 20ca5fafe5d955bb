"""Not used by these tests."""


class DecodedSamples(list):
    already_decoded = True


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    return DecodedSamples(model.first_stage_model.decode(batch[i : i + 1])[0] for i in range(batch.shape[0]))
