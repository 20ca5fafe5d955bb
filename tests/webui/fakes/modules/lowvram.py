"""Not used by these tests."""


def is_enabled(sd_model):
    return False
