"""Not used by these tests."""


def cheap_approximation(sample):
    return sample[:, :3]
