"""Pages for people, rendered on the server: Jinja templates, one stylesheet, one small script, no build step."""

from service.ui.mounting import blueprint

__all__ = ["blueprint"]
