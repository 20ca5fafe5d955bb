"""Who has logged in to the page may ask our routes, whatever version of gradio has made the cookie."""

from types import SimpleNamespace

import pytest
from fastapi import HTTPException
from modules import shared

from tiled_diffusion.webui.hosts import host


@pytest.mark.parametrize("more", [{}, {"cookie_id": "X1"}], ids=["gradio 3", "gradio 4"])
@pytest.mark.parametrize("secure", ["", "-unsecure"])
def test_the_cookie_of_the_page_opens_the_routes(more, secure, monkeypatch):
    options = SimpleNamespace(gradio_auth="suite:secret", gradio_auth_path=None)
    monkeypatch.setattr(shared, "cmd_opts", options, raising=False)
    (depends,) = host.page.log_in(SimpleNamespace(tokens={"token": "suite"}, **more))
    own = f"-{more['cookie_id']}" if more else ""
    asked = depends.dependency
    assert asked(SimpleNamespace(cookies={f"access-token{secure}{own}": "token"})) is None
    for cookies in ({}, {f"access-token{secure}{own}": "guessed"}, {f"access-token{secure}-other": "token"}):
        with pytest.raises(HTTPException, match="not logged in"):
            asked(SimpleNamespace(cookies=cookies))


def test_without_a_log_in_the_routes_are_open(monkeypatch):
    options = SimpleNamespace(gradio_auth=None, gradio_auth_path=None)
    monkeypatch.setattr(shared, "cmd_opts", options, raising=False)
    assert host.page.log_in(SimpleNamespace(tokens={})) == []
