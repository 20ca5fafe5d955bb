"""Callbacks: kept in lists."""

registered = {}


def _keep(kind):
    def add(callback, *, name=None):
        registered.setdefault(kind, []).append(callback)

    return add


on_cfg_denoiser = _keep("cfg_denoiser")
on_before_ui = _keep("before_ui")
on_app_started = _keep("app_started")
on_ui_settings = _keep("ui_settings")
on_script_unloaded = _keep("script_unloaded")
on_infotext_pasted = _keep("infotext_pasted")
on_image_saved = _keep("image_saved")
