import dataclasses
import inspect
import itertools
from pathlib import Path

import pytest
import timm
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hydra.utils import get_class
from omegaconf import OmegaConf

from radvit import assemble, config
from radvit.config import (
    AugmentConfig,
    DataConfig,
    EvaluateConfig,
    InferConfig,
    MaeConfig,
    ModelConfig,
    OptimConfig,
    SourceKind,
    TaskName,
    TrainConfig,
)
from radvit.config.model import AdaptName, LoraConfig, LoraTarget
from radvit.data.datamodule import Loading
from radvit.data.transforms import AugmentSpec
from radvit.deid.options import DEFAULT, Option
from radvit.dicom.limits import Limits
from radvit.dicom.voi import Rule, Voi
from radvit.errors import ConfigError
from radvit.inference.saliency import SaliencySpec
from radvit.models.adapt import Adapt, LoraSpec, Target
from radvit.models.backbone import Backbone
from radvit.models.backbone.families import KNOWN
from radvit.models.backbone.names import Library, library_of
from radvit.models.mae import MaeSpec
from radvit.models.saliency import Method
from radvit.models.vit import RadiographViT
from radvit.pool import Guard
from radvit.records import Task
from radvit.training.optim import OptimSpec

CONF = Path(__file__).parents[1] / "conf"
GROUPS = ("data", "model", "augment", "optim", "deid", "trainer", "logger", "experiment")
HYDRA = [(group, path.stem) for group in ("sweeper", "launcher") for path in (CONF / "hydra" / group).glob("*.yaml")]
OPTIONS = [(group, path.stem) for group in GROUPS for path in sorted((CONF / group).glob("*.yaml"))]
LOGGING = [path.stem for path in (CONF / "hydra" / "job_logging").glob("*.yaml")]
GIVEN = {
    "train": ["run_dir=RUN"],
    "evaluate": ["checkpoint=RUN"],
    "infer": ["checkpoint=RUN", "output=OUT", "input.path=IN"],
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    config.register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield


def composed(name, *overrides):
    return OmegaConf.to_object(compose(name, overrides=[*GIVEN[name], *overrides]))


def test_every_yaml_is_reached_by_these_tests():
    options = [*OPTIONS, *(("hydra/job_logging", name) for name in LOGGING)]
    options += [(f"hydra/{group}", name) for group, name in HYDRA]
    reached = {f"{group}/{name}.yaml" for group, name in options} | {f"{name}.yaml" for name in GIVEN}
    assert reached == {path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml")}


@pytest.mark.parametrize(("group", "name"), OPTIONS, ids=[f"{g}={n}" for g, n in OPTIONS])
def test_each_option_composes_into_the_schema(group, name):
    plain = composed("train", f"{group}={name}")
    assert isinstance(plain, TrainConfig)
    assert isinstance(plain.data, DataConfig)
    assert isinstance(plain.model, ModelConfig)
    assert plain.trainer["_target_"] == "pytorch_lightning.Trainer"
    assert all(one["_target_"].startswith("pytorch_lightning.loggers.") for one in plain.logger.values())


def test_deid_groups_turn_options_on_and_off():
    plain = {
        name: assemble.options(composed("infer", f"deid={name}").deid) for group, name in OPTIONS if group == "deid"
    }
    assert plain["default"] == DEFAULT
    assert plain["full_dates"] == DEFAULT - {Option.MODIFIED_DATES} | {Option.FULL_DATES}
    assert plain["no_dates"] == DEFAULT - {Option.MODIFIED_DATES}
    assert plain["no_characteristics"] == DEFAULT - {Option.PATIENT_CHARACTERISTICS}
    assert plain["thorough"] == DEFAULT
    assert composed("train", "deid=thorough").deid.pixel_text is config.PixelText.thorough
    off = composed("evaluate", "deid.pixel_text=off").deid
    assert assemble.options(off) == DEFAULT - {Option.CLEAN_PIXELS}
    with pytest.raises(ConfigError, match="exclude each other"):
        composed("train", "deid.full_dates=true")


def test_all_pairs_of_trainers_and_loggers_compose():
    trainers, loggers = ([name for group, name in OPTIONS if group == wanted] for wanted in ("trainer", "logger"))
    for trainer, logger in itertools.product(trainers, loggers):
        plain = composed("train", f"trainer={trainer}", f"logger={logger}")
        places = {one["save_dir"] for one in plain.logger.values() if "save_dir" in one}
        assert places == ({"RUN"} if logger != "none" else set())
        assert ("csv" in plain.logger) == (logger not in ("none", "tensorboard"))


def test_evaluate_and_infer_compose():
    measured = composed("evaluate", "data=phantom", "quantize=int8", "split=val", "precision=bf16")
    assert isinstance(measured, EvaluateConfig)
    assert measured.data.kind is SourceKind.dicom
    assert composed("evaluate").data.kind is SourceKind.run
    read = composed("infer", "report.language=zh", "input.any=true")
    assert isinstance(read, InferConfig)
    assert (read.report.language.value, read.input.any) == ("zh", True)


@pytest.mark.parametrize("name", [name for group, name in OPTIONS if group == "experiment"])
def test_each_experiment_describes_a_model_that_can_be_built(name):
    plain = composed("train", f"experiment={name}")
    assert plain.name == name
    if plain.model.task is TaskName.mae:
        small = bool(plain.model.stem)  # the large one is tested with timm
        assert not small or assemble.autoencoder(plain.model, plain.mae, plain.data.image_size).shown == 12
        return
    spec = assemble.model_spec(plain.model, plain.data.image_size, len(plain.data.labels))
    assert spec.task is Task(plain.model.task.value)
    if spec.backbone.stem:  # the small ones; the large ones are tested with timm
        assert RadiographViT(spec).backbone.stride <= plain.data.image_size


@pytest.mark.parametrize("name", [name for group, name in OPTIONS if group == "model"])
def test_each_model_is_one_that_timm_or_transformers_has(name):
    plain = composed("train", f"model={name}").model
    spec = assemble.model_spec(plain, 224, 1).backbone
    with torch.device("meta"):  # its architecture, without any weights
        backbone = Backbone(spec)
    assert backbone.depth == (plain.depth or backbone.depth) >= 2
    assert 224 % backbone.stride == 0
    published = timm.models.is_model_pretrained(spec.name)
    assert published if library_of(spec.name) is Library.TIMM else spec.name in KNOWN
    assert not (plain.pool == "token" and backbone.prefix == 0)


def test_each_way_to_adapt_and_each_target_of_the_schema_is_the_codes():
    assert {how.value for how in AdaptName} == {how.value for how in Adapt}
    assert {target.value for target in LoraTarget} == {target.value for target in Target}
    lora = LoraConfig()
    given = LoraSpec(lora.rank, lora.alpha, lora.dropout, tuple(Target(target.value) for target in lora.targets))
    assert given == LoraSpec()


@pytest.mark.parametrize(
    ("overrides", "trained", "frozen"),
    [
        (["model.adapt=linear"], ("head.",), "backbone."),
        (["model.adapt=lora", "model.lora.rank=4", "model.lora.targets=[mlp]"], ("head.", "lora_A"), "patch_embed"),
        (["model.checkpointing=true"], ("head.", "patch_embed"), None),
    ],
)
def test_how_much_is_trained_follows_the_configuration(overrides, trained, frozen):
    plain = composed("train", "model=vit_mini_classify", "model.depth=1", *overrides)
    model = assemble.model(plain.model, 32, 2)
    learned = [name for name, p in model.named_parameters() if p.requires_grad]
    assert all(any(part in name for name in learned) for part in trained)
    assert frozen is None or not any(name.startswith(frozen) or f".{frozen}" in name for name in learned)
    assert model.backbone.vit.grad_checkpointing is plain.model.checkpointing
    if plain.model.adapt is AdaptName.lora:
        (shape,) = {tuple(p.shape) for n, p in model.named_parameters() if "fc1.lora_A" in n}
        assert shape == (4, 128)


@pytest.mark.parametrize("name", LOGGING)
def test_each_logging_setup_composes(name):
    overrides = [*GIVEN["infer"], f"hydra/job_logging={name}", "hydra.job.name=x", "hydra.runtime.output_dir=y"]
    setup = compose("infer", overrides=overrides, return_hydra_config=True).hydra.job_logging
    assert set(setup.root.handlers) == set(setup.handlers)


@pytest.mark.parametrize(("group", "name"), HYDRA, ids=[f"{g}={n}" for g, n in HYDRA])
def test_each_sweeper_and_launcher_composes_into_what_its_plugin_takes(group, name):
    hydra = compose("train", overrides=[f"hydra/{group}={name}"], return_hydra_config=True).hydra
    target = get_class(hydra[group]._target_)
    takes = inspect.signature(target).parameters
    if "params" not in takes:  # submitit's launcher takes anything
        assert set(hydra[group]) == {"_target_", *takes}
    assert target.__module__.startswith("hydra_plugins.")


def test_an_experiment_says_only_what_differs():
    plain = composed("train", "experiment=phantom_nodule", "optim.lr=0.5")
    assert plain.optim.lr == 0.5  # the command line has the last word
    assert plain.optim.warmup == OptimConfig().warmup
    assert plain.trainer["accelerator"] == "cpu"


@pytest.mark.parametrize(
    ("name", "override", "match"),
    [
        ("train", "optim.lrr=1", "lrr"),
        ("train", "colour=red", "colour"),
        ("train", "data.split.tarin=0.5", "tarin"),
        ("train", "optim.lr=fast", "fast"),
        ("train", "optim.batch_size=1.5", "1.5"),
        ("train", "model.task=guess", "guess"),
        ("train", "augment.device=tpu", "tpu"),
        ("train", "model.strides=8", "8"),
        ("train", "model.adapt=half", "half"),
        ("train", "model.lora.targets=[heart]", "heart"),
        ("train", "experiment=nosuch", "nosuch"),
        ("train", "model=nosuch", "nosuch"),
        ("evaluate", "precision=int4", "int4"),
        ("evaluate", "split=dev", "dev"),
        ("infer", "report.language=fr", "fr"),
        ("infer", "saliency.method=guess", "guess"),
        ("infer", "saliency.check=3", "check"),
        ("infer", "report.fleischner.density=hard", "hard"),
        ("infer", "report.fleischner.cancer=false", "cancer"),
        ("infer", "reports.language=en", "reports"),
    ],
)
def test_what_the_schema_does_not_hold_fails_at_composition(name, override, match):
    with pytest.raises(HydraException) as caught:
        composed(name, override)
    assert match in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("name", "override", "match"),
    [
        ("train", "seed=-1", r"seed=-1; expected a whole number"),
        ("train", "optim.lr=-0.1", r"optim\.lr=-0\.1; expected a number of at least 0"),
        ("train", "optim.lr=nan", r"optim\.lr=nan"),
        ("train", "optim.batch_size=0", r"optim\.batch_size=0; expected a whole number of at least 1"),
        ("train", "optim.warmup=5", r"optim\.warmup=5\.0; expected a number from 0 to 1"),
        ("train", "model.dropout=2", r"model\.dropout=2\.0"),
        ("train", "model.depth=0", r"model\.depth=0"),
        ("train", "model.lora.rank=0", r"model\.lora\.rank=0"),
        ("train", "model.lora.targets=[]", r"model\.lora\.targets=\[\]; expected attention, mlp or both"),
        ("train", "model.strides=[]", r"model\.strides=\[\]"),
        ("train", "model.stem=[0]", r"model\.stem=\[0\]"),
        ("train", "data.workers=-1", r"data\.workers=-1"),
        ("train", "data.split.train=1.5", r"data\.split\.train=1\.5"),
        ("train", "trainer.max_epochs=abc", r"trainer\.max_epochs=abc; expected a whole number"),
        ("train", "trainer.max_epochs=1.5", r"trainer\.max_epochs=1\.5"),
        ("train", "trainer.max_epochs=-1", r"trainer\.max_epochs=-1"),
        ("train", "trainer.check_val_every_n_epoch=0", "check_val_every_n_epoch=0"),
        ("evaluate", "bootstrap=-1", "bootstrap=-1"),
        ("evaluate", "hit.value=2", r"hit\.value=2 is for hit\.rule=iou, distance or distance_mm"),
        ("evaluate", "hit.rule=iou", r"hit\.rule=iou needs hit\.value above 0"),
        ("train", "hit.rule=distance_mm", r"hit\.rule=distance_mm needs hit\.value above 0"),
        ("train", "threshold=specificity", r"threshold=specificity with specificity=None; expected threshold=spec"),
        ("train", "specificity=0.9", r"threshold=youden with specificity=0\.9; expected threshold=specificity"),
        ("train", "specificity=1.5", r"specificity=1\.5; expected a number from 0 to 1"),
        ("train", "fp_per_image=0", "fp_per_image=0; expected a number above 0"),
        ("train", "mae.mask=1.5", r"mae\.mask=1\.5; expected a number from 0 to 1"),
        ("train", "mae.depth=0", r"mae\.depth=0"),
        ("infer", "batch_size=0", "batch_size=0"),
        ("infer", "saliency.edge=0", r"saliency\.edge=0\.0; expected a number from 0\.01 to 1"),
        ("evaluate", "saliency.check=-1", r"saliency\.check=-1; expected a whole number of at least 0"),
        ("infer", "read.deadline_s=0", r"read\.deadline_s=0"),
        ("train", "read.memory_mb=1", r"read\.memory_mb=1; expected a whole number of at least 64"),
        ("train", "data.memory_mb=-1", r"data\.memory_mb=-1; expected a whole number of at least 0"),
        ("train", "loader_prefetch=0", r"loader_prefetch=0; expected a whole number of at least 1"),
        ("train", "data.window.width=-1", r"data\.window\.width=-1"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_loads(name, override, match):
    with pytest.raises(ConfigError, match=match):
        composed(name, override)


def test_every_problem_of_a_group_is_told_at_once():
    with pytest.raises(ConfigError, match=r"optim\.warmup=2.* and optim\.batch_size=0"):
        OptimConfig(warmup=2, batch_size=0)


def test_limits_themselves_are_allowed():
    assert OptimConfig(lr=0.0, warmup=1.0, ema_decay=0.0, batch_size=1).warmup == 1
    assert ModelConfig(dropout=0, depth=None).depth is None
    assert TrainConfig(seed=0, trainer={"max_epochs": 1, "gradient_clip_val": None}).seed == 0


@pytest.mark.parametrize(
    ("schema", "spec"), [(AugmentConfig, AugmentSpec), (OptimConfig, OptimSpec), (MaeConfig, MaeSpec)]
)
def test_each_field_of_a_spec_stands_in_its_schema(schema, spec):
    ours = {field.name: field for field in dataclasses.fields(schema)}
    for field in dataclasses.fields(spec):
        assert ours[field.name].type == field.type
        if field.default is not dataclasses.MISSING:
            assert ours[field.name].default == field.default


def test_a_configuration_becomes_components():
    assert assemble.augment(AugmentConfig(rotate_deg=3, flip=True)) == AugmentSpec(rotate_deg=3, flip=True)
    made = assemble.optim(OptimConfig(lr=2e-3, layer_decay=0.5))
    assert (made.lr, made.layer_decay) == (2e-3, 0.5)
    assert assemble.preprocess(DataConfig(image_size=64, mean=0.1, std=0.2)).to_dict() == {
        "size": 64,
        "mean": 0.1,
        "std": 0.2,
        "voi": Voi().to_dict(),
        "crop_border": False,
    }
    assert assemble.preprocess(DataConfig(crop_border=True)).crop_border
    scope = assemble.scope(DataConfig(scope=config.ScopeConfig(modalities=["CR"])))
    assert (scope.modalities, scope.views) == (("CR",), ())


def test_how_batches_are_made_is_read_from_three_groups():
    assert assemble.loading(TrainConfig()) == Loading()
    made = composed("train", "augment.device=model", "loader_workers=3", "loader_prefetch=4", "data.memory_mb=7")
    assert assemble.loading(made) == Loading(3, 4, 7, True)


def test_a_source_needs_a_path_and_a_kind_of_its_own():
    rest = (config.DeidConfig(), config.ReadConfig(), Voi())
    with pytest.raises(ConfigError, match=r"data\.path is not set"):
        assemble.source(DataConfig(), *rest)
    with pytest.raises(ConfigError, match="data=run is the data of a trained model"):
        assemble.source(DataConfig(kind=SourceKind.run, path="x"), *rest)


def test_what_a_file_may_cost_reaches_the_loader_and_the_workers(tmp_path):
    given = config.ReadConfig(file_mb=3, pixel_mb=5, inflated_mb=7, frames=11, side=13, depth=17, elements=19)
    made = assemble.limits(given)
    assert (made.file_bytes, made.pixel_bytes, made.inflated_bytes) == (3 << 20, 5 << 20, 7 << 20)
    assert (made.frames, made.side, made.depth, made.elements) == (11, 13, 17, 19)
    assert assemble.guard(config.ReadConfig(memory_mb=300, deadline_s=2.5)) == Guard(300, 2.5)
    (tmp_path / "rules.json").write_text('{"include": [{"Modality": "CR"}]}')
    (tmp_path / "key").write_text("ab" * 32)
    (tmp_path / "key").chmod(0o600)
    voi = assemble.voi(config.WindowConfig(rule=config.WindowRule.widest, explanation="lung"))
    loader = assemble.loader(config.DeidConfig(str(tmp_path / "key")), given, voi, str(tmp_path / "rules.json"))
    assert (loader.limits, loader.voi, loader.selection.rules) == (made, Voi(Rule.WIDEST, "lung"), 1)


def test_the_defaults_of_the_schema_are_those_of_the_code():
    assert assemble.limits(config.ReadConfig()) == Limits()
    assert assemble.guard(config.ReadConfig()) == Guard()
    assert assemble.voi(config.WindowConfig()) == Voi()
    code, schema = SaliencySpec(Method.GRADIENT), config.SaliencyConfig()
    assert (schema.threshold, schema.edge) == (code.threshold, code.edge)
    assert {name.value for name in config.SaliencyName} == {"none", *Method}
    assert {rule.name.upper() for rule in config.WindowRule} == {rule.name for rule in Rule}


def test_two_sources_of_weights_are_refused():
    with pytest.raises(ConfigError, match=r"model\.weights=x with model\.pretrained=true; expected one of the two"):
        ModelConfig(pretrained=True, weights="x")


@pytest.mark.parametrize(
    "beside",
    [{"task": TaskName.mae}, {"checkpointing": True}, {"attention_window": 8}],
    ids=lambda one: next(iter(one)),
)
def test_merging_tokens_goes_with_neither_of_these(beside):
    with pytest.raises(ConfigError, match=r"model\.merge_tokens=0\.1 with model\.\w+=\w+; expected only one of them"):
        ModelConfig(merge_tokens=0.1, **beside)
    assert ModelConfig(**beside).merge_tokens == 0.0
    assert assemble.model_spec(ModelConfig(merge_tokens=0.1), 224, 1).backbone.merge_tokens == 0.1


def test_half_a_window_is_refused():
    with pytest.raises(ConfigError, match=r"center and data\.window\.width go together"):
        config.WindowConfig(center=40.0)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        (["trainer.precision=17"], "Precision 17 is invalid"),
        (["+trainer.bogus=1"], "bogus"),
        (["trainer._target_=no.Such"], r"no\.Such"),
        (["trainer._target_=builtins.dict"], "expected a pytorch_lightning.Trainer"),
    ],
)
def test_what_lightning_refuses_is_a_configuration_error(overrides, match, tmp_path):
    plain = composed("train", f"run_dir={tmp_path}", "logger=csv", *overrides)
    with pytest.raises(ConfigError, match=match) as caught:
        assemble.trainer(plain.trainer, tmp_path, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "match"), [("no.Such", r"no\.Such"), ("builtins.dict", "made a dict; expected a log")]
)
def test_a_logger_that_is_none_is_a_configuration_error(target, match, tmp_path):
    plain = composed("train", f"run_dir={tmp_path}", "logger=csv", f"logger.csv._target_={target}")
    with pytest.raises(ConfigError, match=match) as caught:
        assemble.logger("csv", plain.logger["csv"])
    assert "\n" not in str(caught.value)
