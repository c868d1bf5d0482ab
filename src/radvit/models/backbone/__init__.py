"""Vision Transformers of timm and of transformers behind one protocol: any input size, any number of channels.

Each is loaded when it is first asked for: what a backbone is can be read without the libraries that compute it;
__init__.pyi says from where.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
