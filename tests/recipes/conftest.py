"""Both hosts, on one thread: what is drawn is small."""

import pytest
import torch

from tests.recipes.plain_host import PlainHost
from tests.standalone.tiny import tiny_model
from tiled_diffusion.standalone.host import DiffusersHost


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


HOSTS = {
    "plain": PlainHost,
    "sd1": lambda: DiffusersHost(tiny_model("sd1")),
    "sdxl": lambda: DiffusersHost(tiny_model("sdxl")),
}


@pytest.fixture(params=HOSTS, scope="session")
def host(request):
    return HOSTS[request.param]()
