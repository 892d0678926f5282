"""The dashboard's code as a model of its own: a notebook stores it once, however many widgets it shows."""

import zlib
from typing import Any, Final

import traitlets
from ipywidgets import Widget, register

from workbench import front


@register
class Code(Widget):
    """The module and the style sheet that the widgets of a kernel share; their loader asks this model for them."""

    _model_name = traitlets.Unicode("WidgetModel").tag(sync=True)
    _model_module = traitlets.Unicode("@jupyter-widgets/base").tag(sync=True)
    _model_module_version = traitlets.Unicode("2.0.0").tag(sync=True)
    module = traitlets.Bytes().tag(sync=True)
    """Compressed, because it is saved with each notebook."""
    css = traitlets.Unicode().tag(sync=True)


_MADE: Final[list[Code]] = []


def code() -> Code:
    """The kernel's one; made when first asked for, and anew when somebody closed it."""
    while _MADE and _MADE[0].comm is None:
        _MADE.pop()
    if not _MADE:
        module = zlib.compress(front.assemble(*front.DASHBOARD).encode())
        _MADE.append(Code(module=module, css=front.styles(*front.SHEETS)))
    return _MADE[0]


def reference(widget: Widget, _manager: Any) -> str:
    """How a model names another one on the wire."""
    return f"IPY_MODEL_{widget.model_id}"
