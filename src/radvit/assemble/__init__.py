"""Configuration to components: the only place below the entry points that reads a schema.

Each is loaded when it is first asked for, as no command needs them all; __init__.pyi says from where.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
