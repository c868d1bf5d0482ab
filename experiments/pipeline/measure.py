"""Measure infer.py beside the model alone: python measure.py COHORT WORK RESULTS.json.

In each round every way is run once, in a process of its own and in an order that turns from round to round, so that
what else the machine does falls upon all of them. COHORT is a folder that `radvit phantom` wrote, WORK one for what is
written meanwhile. The model alone gets the same batches and threads, of images that were decoded before. It is a dense
detector with random weights, so set that it finds some five things an image: they are as dear to report as true ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

FIELDS = ("model_busy", "images_per_s", "images", "reading_s", "seconds")
ROOT = Path(__file__).parents[2]
FEW = 4  # studies of a run that is only to show how soon the model is called
STARTED = ("fp32", "onnx")
EVERY_S = 0.5  # between two looks at the memory
WAYS = {
    "as it is": {},
    "niceness 0": {"niceness": 0},
    "niceness 5": {"niceness": 5},
    "niceness 19": {"niceness": 19},
    "one worker": {"workers": 1},
    "batches of 1": {"batch_size": 1},
    "batches of 16": {"batch_size": 16},
    "batch_size=auto": {"batch_size": "auto"},
}


def read(arguments):
    """Run infer() as infer.py does, with one thing changed."""
    from radvit.inference import predictor

    predictor.NICENESS = arguments.niceness
    began = first_call_at(time.process_time)
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from radvit import config, run

    config.register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        paths = [f"checkpoint={arguments.bundle}", f"input.path={arguments.input}", f"output={arguments.output}"]
        asked = [f"workers={arguments.workers}", f"batch_size={arguments.batch_size}", "report.prior=false"]
        composed = compose("infer", overrides=[*paths, *asked])
    run.infer(OmegaConf.to_object(composed))
    sys.stdout.write(str(time.process_time() - began[0]))


def first_call_at(clock):
    """A list that gets the clock's time when the model is first called."""
    from radvit.inference.timing import Stopwatch

    begin, seen = Stopwatch.begin_call, []

    def noted(watch):
        seen.append(clock())
        return begin(watch)

    Stopwatch.begin_call = noted
    return seen


def alone(arguments):
    """The model on decoded images, in batches of 8, after one to warm up; writes images a second to stdout."""
    import numpy as np

    from radvit.bundle import load_bundle
    from radvit.data.loader import Loader
    from radvit.deid.pseudonym import Pseudonymizer
    from radvit.hardware import compute_threads
    from radvit.inference.engine import BundleDetector, open_engine

    bundle = load_bundle(arguments.bundle)
    detector = BundleDetector(bundle, open_engine(bundle, "fp32", compute_threads()))
    loader = Loader(Pseudonymizer(bytes(32)), voi=bundle.preprocess.voi)
    files = sorted(arguments.input.rglob("*.dcm"))
    inputs = [bundle.preprocess.apply(image.pixels)[0] for file in files for image in loader.load(file)]
    stack = bundle.preprocess.normalise(np.stack(inputs)[:, None].astype(np.float32))
    detector(stack[:8])
    began, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(stack), 8):
        detector(stack[first : first + 8])
    found = {
        "images_per_s": len(stack) / (time.perf_counter() - began),
        "cpu_s": (time.process_time() - cpu) / len(stack),
    }
    sys.stdout.write(json.dumps(found))


def child(*words):
    """Run this file in another process.

    Returns what it wrote, its memory over time in MB, and the processor seconds of the processes that it started.
    """
    running = subprocess.Popen([sys.executable, __file__, *map(str, words)], stdout=subprocess.PIPE, text=True)
    memory, workers = [], {}

    def watch():
        root = psutil.Process(running.pid)
        while running.poll() is None:
            with suppress(psutil.Error):
                memory.append(root.memory_info().rss / 2**20)
                for process in root.children(recursive=True):
                    times = process.cpu_times()
                    workers[process.pid] = times.user + times.system
            time.sleep(EVERY_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = running.communicate()
    watcher.join()
    if running.returncode:
        raise SystemExit(f"{words[0]} ended with {running.returncode}")
    return json.loads(said), memory, sum(workers.values())


def one_reading(name, bundle, source, work):
    """One run of a way: what timing.json says, and how the memory went."""
    output = work / "out"
    shutil.rmtree(output, ignore_errors=True)
    asked = {"niceness": 10, "workers": 2, "batch_size": 8, **WAYS[name]}
    options = [word for key, value in asked.items() for word in (f"--{key}", value)]
    cpu_s, memory, workers_cpu_s = child("read", bundle, source, "--output", output, *options)
    timing = json.loads((output / "timing.json").read_text())
    quarter = max(1, len(memory) // 4)
    row = {field: timing[field] for field in FIELDS}
    row["cpu_s"] = cpu_s / timing["images"]
    row["workers_cpu_s"] = workers_cpu_s / timing["images"]
    row["memory_mb"] = {
        "second_quarter": statistics.mean(memory[quarter : 2 * quarter] or memory),
        "last_quarter": statistics.mean(memory[-quarter:]),
        "most": max(memory),
    }
    return row


def made(arguments):
    """A bundle of the asked model in WORK, with its export."""
    from radvit.bench.made import batch_of, detector, radiographs, speaking_bundle
    from radvit.data.preprocess import Preprocess
    from radvit.quantize.export import export_onnx

    image = batch_of(radiographs(1), Preprocess(arguments.size), 1)
    bundle = speaking_bundle(arguments.work / "bundle", detector(arguments.model, arguments.size), image)
    export_onnx(bundle.model(), bundle.folder / "model.onnx")
    return bundle.folder


def some_studies(cohort, studies, work):
    """A folder with the first studies of a cohort."""
    source = work / "in"
    shutil.rmtree(source, ignore_errors=True)
    for folder in sorted({file.parent for file in (cohort / "dicom").rglob("*.dcm")})[:studies]:
        shutil.copytree(folder, source / folder.relative_to(cohort))
    return source


def summary(values):
    """Median and range."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def start(bundle, source, output, precision):
    """Seconds from the start of infer.py to the model's first call."""
    shutil.rmtree(output, ignore_errors=True)
    given = (
        f"checkpoint={bundle.resolve()}",
        f"input={source.resolve()}",
        f"output={output.resolve()}",
        f"precision={precision}",
    )
    subprocess.run([sys.executable, "infer.py", *given], cwd=ROOT, check=True)
    return json.loads((output / "timing.json").read_text())["start_s"]


def compared(rounds, names):
    """What all rounds come to, by way."""
    alone = "the model alone"
    return {
        name: {
            "model_busy": summary([row[name]["model_busy"] for row in rounds]),
            "of_the_model_alone": summary([row[name]["images_per_s"] / row[alone]["images_per_s"] for row in rounds]),
            "of_its_processor_time": summary(
                [row[alone]["cpu_s"] / (row[name]["cpu_s"] + row[name]["workers_cpu_s"]) for row in rounds]
            ),
        }
        for name in names
    }


def measure(arguments):
    """All rounds, and what they come to; written anew after each."""
    names = ["the model alone", *(arguments.ways or WAYS)]
    rounds, found = [], {"studies": arguments.studies}
    bundle = made(arguments)
    source = some_studies(arguments.cohort, arguments.studies, arguments.work)
    few = some_studies(arguments.cohort, FEW, arguments.work / "few")
    for number in range(arguments.rounds):
        turn = number % len(names)
        row = {}
        for name in names[turn:] + names[:turn]:
            is_alone = name == "the model alone"
            row[name] = (
                child("alone", bundle, source)[0] if is_alone else one_reading(name, bundle, source, arguments.work)
            )
            sys.stderr.write(f"round {number}, {name}: {row[name]['images_per_s']:.2f} images a second\n")
        row["start_s"] = {one: start(bundle, few, arguments.work / "out", one) for one in STARTED}
        rounds.append(row)
        found |= {
            "start_s": {name: summary([one["start_s"][name] for one in rounds]) for name in STARTED},
            "ways": compared(rounds, names[1:]),
            "rounds": rounds,
        }
        arguments.results.write_text(json.dumps(found, indent=2) + "\n")
    if arguments.long:
        source = some_studies(arguments.cohort, arguments.long, arguments.work)
        found["long"] = one_reading("as it is", bundle, source, arguments.work) | {"studies": arguments.long}
        arguments.results.write_text(json.dumps(found, indent=2) + "\n")


def main():
    """The command line: measure, or what it runs in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    if sys.argv[1:2] in (["read"], ["alone"]):
        parser.add_argument("what")
        parser.add_argument("bundle", type=Path)
        parser.add_argument("input", type=Path)
        parser.add_argument("--output", type=Path)
        parser.add_argument("--niceness", type=int, default=10)
        parser.add_argument("--workers", type=int, default=2)
        parser.add_argument("--batch_size", default="8")
        arguments = parser.parse_args()
        {"read": read, "alone": alone}[arguments.what](arguments)
        return
    for name in ("cohort", "work", "results"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--model", default="vit_small_patch16_224")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=0, help="studies of one more reading at the end, for its memory")
    parser.add_argument("--ways", nargs="*", choices=list(WAYS))
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
