"""Scripts."""

AlwaysVisible = object()
scripts_data = []
scripts_txt2img = None


class Script:
    is_img2img = False
    is_txt2img = True
    args_from = args_to = None
    infotext_fields = None
    paste_field_names = None
    filename = ""


def basedir():
    return "."
