from .beginning import infer as infer
from .comparison import compare as compare
from .evaluation import Measured as Measured
from .evaluation import evaluate as evaluate
from .external_sets import external as external
from .folder import saved_config as saved_config
from .task import train as train
from .trial import attempt as attempt
