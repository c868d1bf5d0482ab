"""Typed schemas of every configuration; a wrong key or type fails when Hydra composes it."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore

from radvit.config.data import (
    DataConfig,
    ScopeConfig,
    SliceConfig,
    SourceKind,
    SplitConfig,
    SplitKind,
    SplitName,
    TruthFormat,
    WindowConfig,
    WindowRule,
)
from radvit.config.measuring import CalibrationName, HitConfig, HitRuleName, ThresholdRule
from radvit.config.model import AdaptName, ModelConfig, SlidingConfig, TaskName
from radvit.config.pretraining import MaeConfig
from radvit.config.reading import DeidConfig, PixelText, ReadConfig
from radvit.config.training import (
    AugmentConfig,
    AugmentDevice,
    CheckpointConfig,
    ClassWeightsName,
    EarlyStopConfig,
    Keep,
    OptimConfig,
    SamplerName,
    TrainConfig,
)
from radvit.config.using import (
    BandsName,
    EvaluateConfig,
    EvaluateSaliencyConfig,
    FleischnerConfig,
    GateConfig,
    InferConfig,
    InputConfig,
    Language,
    PrecisionConfig,
    PrecisionName,
    QuantizeName,
    ReportConfig,
    SaliencyConfig,
    SaliencyName,
)

__all__ = [
    "AdaptName",
    "AugmentConfig",
    "AugmentDevice",
    "BandsName",
    "CalibrationName",
    "CheckpointConfig",
    "ClassWeightsName",
    "DataConfig",
    "DeidConfig",
    "EarlyStopConfig",
    "EvaluateConfig",
    "EvaluateSaliencyConfig",
    "FleischnerConfig",
    "GateConfig",
    "HitConfig",
    "HitRuleName",
    "InferConfig",
    "InputConfig",
    "Keep",
    "Language",
    "MaeConfig",
    "ModelConfig",
    "OptimConfig",
    "PixelText",
    "PrecisionConfig",
    "PrecisionName",
    "QuantizeName",
    "ReadConfig",
    "ReportConfig",
    "SaliencyConfig",
    "SaliencyName",
    "SamplerName",
    "ScopeConfig",
    "SliceConfig",
    "SlidingConfig",
    "SourceKind",
    "SplitConfig",
    "SplitKind",
    "SplitName",
    "TaskName",
    "ThresholdRule",
    "TrainConfig",
    "TruthFormat",
    "WindowConfig",
    "WindowRule",
    "register",
]


def register() -> None:
    """Make the schemas known to Hydra; composing anything else than what they hold fails."""
    store = ConfigStore.instance()
    for name, node in (("train", TrainConfig), ("evaluate", EvaluateConfig), ("infer", InferConfig)):
        store.store(name=f"{name}_schema", node=node)
    groups = {
        "data": DataConfig,
        "model": ModelConfig,
        "augment": AugmentConfig,
        "optim": OptimConfig,
        "deid": DeidConfig,
    }
    for group, schema in groups.items():
        store.store(group=group, name="schema", node=schema)
