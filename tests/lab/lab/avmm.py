# SPDX-License-Identifier: GPL-2.0
"""AVMM inside a machine of the lab, through avmmctl and insmod."""

import json

MODULE = '/root/avmm.ko'
DEBUG_MODULE = '/root/debug/avmm.ko'
DEBUGFS = '/sys/kernel/debug/avmm'


def launch(m, module=MODULE, parameters=''):
    m.run(f'insmod {module} {parameters}', timeout=120)


def leave(m):
    m.run('rmmod avmm', timeout=120)


def status(m):
    return json.loads(m.run('avmmctl status --json').output)


def stats(m, seconds=None):
    """{cpu: exits by reason}, since the launch or within SECONDS of guest time."""
    interval = f'--interval {seconds}' if seconds else ''
    found = json.loads(m.run(f'avmmctl stats --json {interval}', timeout=300).output)
    return {c['cpu']: c['exits'] for c in found['cpus']}


def user_stats(m, seconds=None):
    """What is counted of the user partition: exits by reason, counters, time_user, …; likewise."""
    interval = f'--interval {seconds}' if seconds else ''
    return json.loads(m.run(f'avmmctl stats --json {interval}', timeout=60 + 30 * (seconds or 0)).output)['user']


def counter(m, name):
    found = json.loads(m.run('avmmctl stats --json').output)
    return sum(c['counters'].get(name, 0) for c in found['cpus'])


def check(m):
    """(exit status, what avmmctl check --json says)"""
    result = m.run('avmmctl check --json 2>/dev/null', check=False)
    return result.status, json.loads(result.output)


def refusals(found):
    return [f['text'] for f in found['findings'] if f['severity'] == 'refusal']
