"""What samplers share."""

import torch


class InterruptedException(BaseException):
    pass


def images_tensor_to_samples(image, approximation=None, model=None):
    small = torch.nn.functional.avg_pool2d(image * 2 - 1, 8)
    return torch.cat([small, small.mean(1, keepdim=True)], dim=1)
