import os
import subprocess
import sys

from radvit.pool import WorkerPool

# Work is given as expressions for `eval`: a function of this file could not be imported by a worker process.
PRIORITY = "(o := __import__('os')).getpriority(o.PRIO_PROCESS, 0)"


def test_workers_give_way_by_as_much_as_they_are_told():
    own = os.getpriority(os.PRIO_PROCESS, 0)
    for niceness in (0, 7):
        with WorkerPool(1, niceness=niceness) as pool:
            ((_, found),) = pool.ordered(eval, [PRIORITY], 1)
        assert found == min(19, own + niceness)


def test_what_workers_need_is_loaded_before_they_begin():
    code = (
        "from radvit.processes import begin_preload; begin_preload(['radvit.pool', 'wave'])\n"
        "from radvit.pool import WorkerPool\n"
        "asked = [f'{name!r} in __import__(\"sys\").modules' for name in ('wave', 'sunau')]\n"
        "with WorkerPool(1) as pool: print([found for _, found in pool.ordered(eval, asked, 2)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, False]"
