"""train(), evaluate(), external(), compare() and infer(): the one place that shows each flow whole.

Each is loaded when it is first asked for, as none needs all the heavy libraries; __init__.pyi says from where.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
