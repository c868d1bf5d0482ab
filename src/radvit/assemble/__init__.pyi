from .data import cohort as cohort
from .data import preprocess as preprocess
from .data import scope as scope
from .data import splits as splits
from .data import voi as voi
from .external import INTERNAL as INTERNAL
from .external import external_sets as external_sets
from .loggers import hyperparameters as hyperparameters
from .loggers import logger as logger
from .measuring import hit_rule as hit_rule
from .measuring import tolerances as tolerances
from .models import backbone_spec as backbone_spec
from .models import model as model
from .models import model_spec as model_spec
from .pretraining import autoencoder as autoencoder
from .reading import burned_in as burned_in
from .reading import guard as guard
from .reading import limits as limits
from .reading import loader as loader
from .reading import options as options
from .saliency import explainer as explainer
from .saliency import saliency_spec as saliency_spec
from .sources import source as source
from .training import (
    augment as augment,
)
from .training import (
    device as device,
)
from .training import (
    early_stop as early_stop,
)
from .training import (
    loading as loading,
)
from .training import (
    optim as optim,
)
from .training import (
    recipe as recipe,
)
from .training import (
    sharded as sharded,
)
from .training import (
    trainer as trainer,
)
from .training import (
    windows as windows,
)
