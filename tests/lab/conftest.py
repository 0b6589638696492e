# SPDX-License-Identifier: GPL-2.0
"""Fixtures of the lab's tests.

A test class says in `shape` which machine it wants; its tests share one, restored from a checkpoint. After a
failure, or when a test left the machine broken, the next test gets a fresh one; so does one marked `fresh`.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import Machine, kernel_log, payload, paths, user  # noqa: E402


def pytest_addoption(parser):
    parser.addoption('--soak', metavar='PART', help="run this part of make soak; 'list' prints the parts")


def pytest_configure(config):
    config.addinivalue_line('markers', 'soak(part): belongs to a part of make soak, not to make check')
    config.addinivalue_line('markers', 'fresh: wants a machine that no other test used')


def _soak_part(item):
    marker = item.get_closest_marker('soak')
    return marker.args[0] if marker else None


def pytest_collection_modifyitems(config, items):
    """The tests of one soak part, or all that belong to none."""
    wanted = config.getoption('--soak')
    if wanted == 'list':
        for part in sorted({_soak_part(i) for i in items} - {None}):
            print(f'\nsoak part {part}')
    dropped = [i for i in items if _soak_part(i) != wanted]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [i for i in items if _soak_part(i) == wanted]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f'report_{report.when}', report)
    machines = getattr(item, 'machines', [])
    if report.failed and machines:
        for machine in machines:
            report.sections.append((f'machine {machine.name}', kernel_log.failure_report(machine)))
            machine.broken = True


class Lab:
    """Makes machines for one test class and keeps them between its tests."""

    def __init__(self, name):
        self.name = re.sub(r'[^\w.-]+', '_', name)
        self.machines = {}
        self.count = 0

    def machine(self, fresh=False, debug=False, extra=(), start=True, checkpoint=True, guest=None, up=True,
                drivers=None, parameters='', **shape):
        """
        GUEST: with the files of a user partition whose kernel is of this series; UP: and it is up, PARAMETERS being the
        module's; DRIVERS: as for user.initramfs().
        """
        which = repr((debug, extra, checkpoint, guest, up, drivers, parameters, sorted(shape.items())))
        machine = self.machines.get(which)
        if machine and not fresh and not machine.broken and machine.emulator.alive():
            return machine
        if machine:
            machine.stop()
        self.count += 1
        name = f'{self.name}/{self.count}'
        extra = (*extra, *(user.files(guest, drivers) if guest else ()))
        root = payload.build(shape.get('kernel', '6.1'), paths.LOGS / name / 'payload', debug, extra)
        if guest and up:
            checkpoint = user.checkpoint(guest, root, shape, parameters)
            shutil.rmtree(root)
            root = None
        machine = Machine(name=name, checkpoint=checkpoint, payload=root, **shape)
        machine.guest = guest
        self.machines[which] = machine
        if start:
            machine.start()
            if guest and up:
                machine.run('avmmctl resume')
            if root:
                shutil.rmtree(root)
        return machine

    def stop(self):
        for machine in self.machines.values():
            machine.stop()


@pytest.fixture(scope='class')
def class_lab(request):
    name = (request.cls or request.module).__name__
    shutil.rmtree(paths.LOGS / name, ignore_errors=True)
    lab = Lab(name)
    yield lab
    lab.stop()


@pytest.fixture
def lab(request, class_lab):
    """lab(kernel='6.12', cpus=2, ...) -> a running machine of that shape."""
    request.node.machines = []
    shape = dict(getattr(request.cls, 'shape', {}))
    fresh = request.node.get_closest_marker('fresh') is not None

    def machine(**more):
        m = class_lab.machine(**{**shape, 'fresh': fresh, **more})
        request.node.machines.append(m)
        return m

    return machine


@pytest.fixture
def m(lab):
    """The machine of the test's class."""
    return lab()


@pytest.fixture
def u(m):
    """The user partition of the machine of the test's class, which names its kernel in `shape`."""
    if not hasattr(m, 'user'):
        m.user = user.User(m, m.guest)
    return m.user
