"""What surrounds a sampling: the model and its ControlNets come to where they work, and leave it."""

prepared = []
"""The patchers that work now."""


def sampling_prepare(unet, x):
    assert x.dim() == 4
    prepared.append(unet)
    for control in unet.list_controlnets():
        control.pre_run(unet.model, lambda percent: 1.0 - percent)


def sampling_cleanup(unet):
    prepared.remove(unet)
    for control in unet.list_controlnets():
        control.cleanup()
